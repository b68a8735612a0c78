// A small study that reads without problems, to be extended by tests.
#pragma once

#include <string>

namespace crossweep::config {

inline const std::string small_study = R"toml(
[study]
name = "small"
trials = 3
[model]
weights = "../data/vit.safetensors"
[data]
images = "/data/images.gz"
labels = "labels.gz"
count = 100
mean = [0.286]
std = [0.353]
[transforms."(2, 0.25)"]
alpha = 2
beta = 0.25
)toml";

}  // namespace crossweep::config
