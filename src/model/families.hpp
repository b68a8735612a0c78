// The families of models, each put together from tensors of its own names.
#pragma once

#include "crossweep/model/transformer.hpp"
#include "tensor_loader.hpp"

namespace crossweep::model {

/// Recognise the family of `file` and put its model together. Throws NotAModel with everything wrong.
TransformerParts load_family(const io::Safetensors& file, const LoadOptions& options);

/// ViT and DeiT (timm), LV-ViT (TokenLabeling), DynamicViT on either.
TransformerParts load_image_classifier(TensorLoader& loader, const LoadOptions& options);
/// BertForSequenceClassification (Hugging Face).
TransformerParts load_bert(TensorLoader& loader, const LoadOptions& options);
/// GPT2LMHeadModel and GPT2Model (Hugging Face).
TransformerParts load_gpt2(TensorLoader& loader, const LoadOptions& options);

}  // namespace crossweep::model
