// The operands of a transformer as a study names them, and what multiplies with each at a point.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "crossweep/config/study.hpp"

namespace crossweep::config {

struct OperandKey {
    linalg::Role role;
    std::string_view key;       ///< in [device_of] and [fidelity_of]
    std::string_view quantity;  ///< "weights W_Q of the queries"
};

/// In the order of the echo and the manual.
inline constexpr std::array<OperandKey, linalg::role_count> operand_keys{{
    {linalg::Role::query, "q", "weights W_Q"},
    {linalg::Role::key, "k", "weights W_K"},
    {linalg::Role::value, "v", "weights W_V"},
    {linalg::Role::projection, "proj", "weights W_proj"},
    {linalg::Role::mlp_in, "fc1", "weights W_fc1"},
    {linalg::Role::mlp_out, "fc2", "weights W_fc2"},
    {linalg::Role::written_keys, "keys", "K, written for every input"},
    {linalg::Role::written_values, "values", "V, written for every input"},
    {linalg::Role::embedding, "embedding", "weights of the embedding"},
    {linalg::Role::head, "head", "weights of the classifier"},
    {linalg::Role::selector, "selector", "weights of the predictors that drop tokens"},
    {linalg::Role::softmax, "softmax", "softmax of the scores"},
    {linalg::Role::layer_norm, "layer_norm", "normalisation of the tokens"},
    {linalg::Role::gelu, "gelu", "activation between fc1 and fc2"},
}};

/// The device that is the table [device].
inline constexpr std::string_view default_device = "default";
/// What an operand says that leaves device or fidelity to the setting for the rest.
inline constexpr std::string_view rest_word = "rest";

/// The fidelity and device of one operand; no device (and no name) if it is digital.
struct OperandInForce {
    crossbar::Fidelity fidelity = crossbar::Fidelity::digital;
    const std::string* device_name = nullptr;
    const device::DeviceParams* device = nullptr;
};

/// As a study writes it: digital, behavioural and so on.
std::string_view fidelity_word(crossbar::Fidelity fidelity);

/// [linalg::Role]; points into `settings`.
PerOperand<OperandInForce> operands_in_force(const Settings& settings);

/// The device of that name. Throws std::out_of_range if there is none.
const device::DeviceParams& device_named(const Settings& settings, const std::string& name);

}  // namespace crossweep::config
