#include "operands.hpp"

#include <algorithm>

namespace crossweep::config {
namespace {

crossbar::Fidelity resolve(OperandFidelity fidelity, crossbar::Fidelity rest) {
    switch (fidelity) {
        case OperandFidelity::rest:
            return rest;
        case OperandFidelity::digital:
            return crossbar::Fidelity::digital;
        case OperandFidelity::behavioural:
            return crossbar::Fidelity::behavioural;
        case OperandFidelity::sliced:
            return crossbar::Fidelity::sliced;
        case OperandFidelity::circuit:
            return crossbar::Fidelity::circuit;
        case OperandFidelity::large_small:
            return crossbar::Fidelity::large_small;
    }
    return rest;
}

/// Functions of rows have no crossbars but at large_small.
crossbar::Fidelity fidelity_of(linalg::Role role, const Settings& settings) {
    using crossbar::Fidelity;
    const Fidelity fidelity =
        resolve(settings.fidelity_of[static_cast<std::size_t>(role)], settings.fidelity);
    return linalg::is_function(role) && fidelity != Fidelity::large_small ? Fidelity::digital : fidelity;
}

}  // namespace

std::string_view operand_key(linalg::Role role) {
    return std::ranges::find(operand_keys, role, &OperandKey::role)->key;
}

std::string_view fidelity_word(crossbar::Fidelity fidelity) {
    switch (fidelity) {
        case crossbar::Fidelity::digital:
            return "digital";
        case crossbar::Fidelity::behavioural:
            return "behavioural";
        case crossbar::Fidelity::sliced:
            return "sliced";
        case crossbar::Fidelity::circuit:
            return "circuit";
        case crossbar::Fidelity::large_small:
            return "large_small";
    }
    return "";
}

const device::DeviceParams& device_named(const Settings& settings, const std::string& name) {
    return name == default_device ? settings.device : settings.devices.at(name);
}

PerOperand<OperandInForce> operands_in_force(const Settings& settings) {
    PerOperand<OperandInForce> operands;
    for (std::size_t role = 0; role < operands.size(); ++role) {
        auto& operand = operands[role];
        operand.fidelity = fidelity_of(static_cast<linalg::Role>(role), settings);
        if (operand.fidelity == crossbar::Fidelity::digital) continue;
        const auto& own = settings.device_of[role];
        operand.device_name = own == rest_word ? &settings.rest_device : &own;
        operand.device = &device_named(settings, *operand.device_name);
    }
    return operands;
}

trial::PointParams Settings::point() const {
    trial::PointParams point{model, crossbar, transforms.at(transform), {}};
    const auto in_force = operands_in_force(*this);
    for (std::size_t role = 0; role < in_force.size(); ++role) {
        point.operands[role].fidelity = in_force[role].fidelity;
        if (in_force[role].device != nullptr) point.operands[role].device = *in_force[role].device;
    }
    return point;
}

std::string_view operand_name(linalg::Role role) {
    const auto found = std::find_if(operand_keys.begin(), operand_keys.end(),
                                    [&](const OperandKey& operand) { return operand.role == role; });
    return found->key;
}

std::optional<linalg::Role> operand_role(std::string_view name) {
    for (const OperandKey& operand : operand_keys) {
        if (operand.key == name) return operand.role;
    }
    return std::nullopt;
}

}  // namespace crossweep::config
