// Every shortcut of PHYSICS section 5 against one draw per device and read: mean, variance, third and fourth
// moment and all correlations of 8 outputs (2 rows, 2 heads or parts, 2 columns).
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <ostream>
#include <string>

#include "crossbar/brute_force.hpp"
#include "crossbar/engine_sampler.hpp"
#include "crossbar/moments.hpp"
#include "crossbar/scenario.hpp"

namespace crossweep::crossbar {
namespace {

using device::Clamp;
using device::ReadNoiseLaw;
using device::ReadNoiseMode;
using device::WriteNoiseLaw;

// n = 10 000 images of the engine (verified writes 30 000) against as many of brute force. Each statistic may
// be off by 5.2 standard errors, 2e-7 two-sided; with 70 statistics in each of fewer than 65 cases, alpha <
// 0.001 for all together. A deviation wrong by 5 % moves a variance by 10 %, 5 standard errors sqrt(4 / n)
// for one output and 14 for the mean of eight: it is found for certain.
constexpr double limit = 5.2;
/// Wrong dependences are large: fewer images show them.
constexpr std::size_t images_for_dependence = 3'000;

struct Case {
    const char* name;
    void (*change)(Scenario&);  ///< what differs from `plain_scenario`
};
std::ostream& operator<<(std::ostream& out, const Case& which) {
    return out << which.name;
}

/// No noise; few levels and input bits, as the law does not depend on how many there are.
Scenario plain_scenario() {
    Scenario scenario;
    scenario.device.on_off_ratio = 20;
    scenario.device.read_noise_sigma = 0;
    scenario.device.write_noise_sigma = 0;
    scenario.device.write_noise_factor = 1;
    scenario.device.read_noise_table = {{1e-6, 4e-6, 9e-6}, {2e-6, 1e-6, 4e-6}};
    scenario.device.write_noise_table = {{1e-6, 5e-6}, {1e-6, 3e-6}};
    scenario.crossbar.weight_levels = 16;
    scenario.crossbar.input_bits = 5;
    scenario.crossbar.array_rows = 8;
    scenario.crossbar.array_columns = 8;
    scenario.crossbar.adc_bits = 0;
    scenario.crossbar.adc_range = AdcRange::full;
    return scenario;
}

Scenario scenario_of(const Case& which) {
    Scenario scenario = plain_scenario();
    which.change(scenario);
    return scenario;
}

const Block block;

Samples of_engine(const Scenario& scenario) {
    return EngineSampler(scenario, block).sample(scenario.images);
}

Samples of_brute_force(const Scenario& scenario, Planted planted = Planted::nothing) {
    return BruteForce(scenario, block, planted, 987654321).sample(scenario.images);
}

/// Brute force of a case as it should be; drawn once.
const Samples& expected(const Case& which) {
    static std::map<void (*)(Scenario&), Samples> known;
    const auto found = known.find(which.change);
    if (found != known.end()) return found->second;
    return known[which.change] = of_brute_force(scenario_of(which));
}

/// All noise of a device times `factor`.
Scenario scaled(Scenario scenario, double factor) {
    scenario.device.read_noise_sigma *= factor;
    scenario.device.write_noise_sigma *= factor;
    scenario.device.programming_noise_sigma *= factor;
    return scenario;
}

/// Whether a device gives fresh noise more than once for one output.
bool is_read_in_cycles(const Scenario& scenario) {
    return scenario.fidelity != Fidelity::behavioural &&
           scenario.device.read_noise == ReadNoiseMode::per_read && scenario.device.read_noise_sigma > 0;
}

class Shortcut : public testing::TestWithParam<Case> {};

TEST_P(Shortcut, has_the_moments_and_correlations_of_brute_force) {
    for (const Difference& difference :
         differences(of_engine(scenario_of(GetParam())), expected(GetParam()))) {
        EXPECT_LT(difference.z, limit)
            << "statistic " << static_cast<int>(difference.statistic) << " of " << difference.where;
    }
}

TEST_P(Shortcut, planted_error_of_five_percent_is_found) {
    for (const double factor : {1.05, 0.95}) {
        const auto found =
            differences(of_engine(scaled(scenario_of(GetParam()), factor)), expected(GetParam()));
        EXPECT_GT(worst(found, Statistic::pooled_variance), limit) << factor;
        EXPECT_GT(worst(found, Statistic::pooled_fourth_moment), limit) << factor;
    }
}

TEST_P(Shortcut, planted_dependence_is_found) {
    Scenario scenario = scenario_of(GetParam());
    scenario.images = images_for_dependence;
    const Samples engine = of_engine(scenario);
    const auto found = [&](Planted planted, Statistic statistic) {
        return worst(differences(engine, of_brute_force(scenario, planted)), statistic);
    };
    EXPECT_GT(found(Planted::reads, Statistic::correlation_of_reads), limit);
    EXPECT_GT(found(Planted::heads, Statistic::correlation_of_heads), limit);
    EXPECT_GT(found(Planted::columns, Statistic::correlation_of_columns), limit);
    if (!is_read_in_cycles(scenario)) return;
    scenario.device.write_noise_sigma = 0;  // which would hide the noise of reads
    EXPECT_GT(worst(differences(of_engine(scenario), of_brute_force(scenario, Planted::cycles)),
                    Statistic::variance),
              limit);
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
    return info.param.name;
}

// --- read noise, fresh at every read ---

const Case behavioural[] = {
    {"weights", [](Scenario& s) { s.device.read_noise_sigma = 0.05; }},
    {"weights_with_constant_noise",
     [](Scenario& s) {
         s.device.read_noise_law = ReadNoiseLaw::constant;
         s.device.read_noise_sigma = 0.05;
     }},
    {"weights_with_measured_noise",
     [](Scenario& s) {
         s.device.read_noise_law = ReadNoiseLaw::table;
         s.device.read_noise_sigma = 0.2;
     }},
    {"weights_without_converters",
     [](Scenario& s) {
         s.device.read_noise_sigma = 0.05;
         s.crossbar.weight_levels = s.crossbar.input_bits = 0;
     }},
    {"weights_of_many_trials",
     [](Scenario& s) {
         s.device.read_noise_sigma = 0.05;
         s.sampled = Sampled::trials;
     }},
    {"keys",
     [](Scenario& s) {
         s.operand = Operand::keys;
         s.device.read_noise_sigma = 0.05;
     }},
    {"keys_of_many_trials",
     [](Scenario& s) {
         s.operand = Operand::keys;
         s.device.read_noise_sigma = 0.05;
         s.sampled = Sampled::trials;
     }},
    {"values",
     [](Scenario& s) {
         s.operand = Operand::values;
         s.device.read_noise_sigma = 0.05;
     }},
};

void slice(Scenario& s) {
    s.fidelity = Fidelity::sliced;
    s.device.read_noise_sigma = 0.05;
}

const Case sliced[] = {
    {"weights", slice},
    {"weights_of_eight_bits",
     [](Scenario& s) {
         slice(s);
         s.crossbar.weight_levels = 256;
         s.crossbar.input_bits = 8;
     }},
    {"weights_with_two_input_bits_per_cycle",
     [](Scenario& s) {
         slice(s);
         s.crossbar.dac_bits = 2;
     }},
    {"weights_with_sign_and_magnitude",
     [](Scenario& s) {
         slice(s);
         s.crossbar.input_encoding = InputEncoding::sign_magnitude;
     }},
    {"weights_with_sign_and_magnitude_and_two_input_bits_per_cycle",
     [](Scenario& s) {
         slice(s);
         s.crossbar.input_bits = 6;  // the last cycle has one bit
         s.crossbar.input_encoding = InputEncoding::sign_magnitude;
         s.crossbar.dac_bits = 2;
     }},
    {"weights_with_offset",
     [](Scenario& s) {
         slice(s);
         s.crossbar.mapping = Mapping::offset;
     }},
    {"weights_with_offset_and_constant_noise",
     [](Scenario& s) {
         slice(s);
         s.crossbar.mapping = Mapping::offset;
         s.crossbar.dac_bits = 2;
         s.device.read_noise_law = ReadNoiseLaw::constant;
     }},
    {"weights_with_constant_noise",
     [](Scenario& s) {
         slice(s);
         s.device.read_noise_law = ReadNoiseLaw::constant;
     }},
    {"weights_with_measured_noise",
     [](Scenario& s) {
         slice(s);
         s.device.read_noise_law = ReadNoiseLaw::table;
     }},
    {"keys",
     [](Scenario& s) {
         slice(s);
         s.operand = Operand::keys;
     }},
    {"values",
     [](Scenario& s) {
         slice(s);
         s.operand = Operand::values;
         s.crossbar.mapping = Mapping::offset;
     }},
};

void build_circuit(Scenario& s) {
    s.fidelity = Fidelity::circuit;
    s.device.read_noise_sigma = 0.1;
}

/// Several arrays along inputs and outputs; the same column of two of them is looked at.
void cut_into_arrays(Scenario& s) {
    s.crossbar.array_rows = 4;
    s.crossbar.array_columns = 2;
    s.columns = {1, 3};
}

const Case circuit_before_the_converter[] = {
    {"weights", build_circuit},
    {"weights_on_many_arrays",
     [](Scenario& s) {
         build_circuit(s);
         cut_into_arrays(s);
     }},
    {"weights_with_offset_and_two_input_bits_per_cycle",
     [](Scenario& s) {
         build_circuit(s);
         s.crossbar.mapping = Mapping::offset;
         s.crossbar.dac_bits = 2;
     }},
    {"weights_with_sign_and_magnitude_and_measured_noise",
     [](Scenario& s) {
         build_circuit(s);
         s.crossbar.input_encoding = InputEncoding::sign_magnitude;
         s.device.read_noise_law = ReadNoiseLaw::table;
     }},
    {"keys",
     [](Scenario& s) {
         build_circuit(s);
         s.operand = Operand::keys;
     }},
    {"values",
     [](Scenario& s) {
         build_circuit(s);
         s.operand = Operand::values;
     }},
};

/// Six bits for at most 8 x 3 digits: exact steps, wide noise, sums below 0.
void convert(Scenario& s) {
    build_circuit(s);
    s.device.read_noise_sigma = 0.2;
    s.crossbar.adc_bits = 6;
}
/// A range that the larger sums exceed: 115 of up to 6 x 15 x 3, in steps of 1.8.
void convert_and_clip(Scenario& s) {
    convert(s);
    s.device.read_noise_sigma = 0.1;
    s.device.bits_per_cell = 4;
    s.crossbar.dac_bits = 2;
    s.crossbar.array_rows = 64;
    s.crossbar.adc_range = AdcRange::given;
    s.crossbar.adc_range_top = 115.2;
}

const Case circuit_behind_the_converter[] = {
    {"weights", convert},
    {"weights_on_many_arrays",
     [](Scenario& s) {
         convert(s);
         cut_into_arrays(s);
     }},
    {"weights_with_coarse_steps",
     [](Scenario& s) {
         convert(s);
         s.crossbar.array_rows = 64;  // steps of 64 x 3 / 63 digits
         s.device.read_noise_sigma = 0.4;
     }},
    {"weights_that_clip", convert_and_clip},
    {"weights_with_offset_that_clip",
     [](Scenario& s) {
         convert_and_clip(s);
         s.crossbar.mapping = Mapping::offset;
         s.crossbar.adc_range_top = 172.8;  // the shift makes sums larger
         s.device.read_noise_sigma = 0.2;
     }},
    {"weights_with_sign_and_magnitude_and_two_input_bits_per_cycle",
     [](Scenario& s) {
         convert(s);
         s.crossbar.input_encoding = InputEncoding::sign_magnitude;
         s.crossbar.dac_bits = 2;
     }},
    {"weights_with_constant_noise",
     [](Scenario& s) {
         convert(s);
         s.device.read_noise_law = ReadNoiseLaw::constant;
     }},
    {"keys",
     [](Scenario& s) {
         convert(s);
         s.operand = Operand::keys;
         cut_into_arrays(s);
     }},
    {"keys_that_clip",
     [](Scenario& s) {
         convert_and_clip(s);
         s.operand = Operand::keys;
     }},
    {"values",
     [](Scenario& s) {
         convert(s);
         s.operand = Operand::values;
     }},
    {"values_that_clip",
     [](Scenario& s) {
         convert_and_clip(s);
         s.operand = Operand::values;
     }},
};

INSTANTIATE_TEST_SUITE_P(Behavioural, Shortcut, testing::ValuesIn(behavioural), name_of);
INSTANTIATE_TEST_SUITE_P(Sliced, Shortcut, testing::ValuesIn(sliced), name_of);
INSTANTIATE_TEST_SUITE_P(CircuitBeforeTheConverter, Shortcut, testing::ValuesIn(circuit_before_the_converter),
                         name_of);
INSTANTIATE_TEST_SUITE_P(CircuitBehindTheConverter, Shortcut, testing::ValuesIn(circuit_behind_the_converter),
                         name_of);

// --- noise that lasts: frozen read noise, programming, writing; the same for all reads of one image ---

void freeze(Scenario& s) {
    s.device.read_noise = ReadNoiseMode::frozen;
    s.device.read_noise_sigma = 0.1;
}
void write(Scenario& s) {
    s.device.write_noise_sigma = 0.2;
}

const Case lasting[] = {
    {"frozen_weights", freeze},
    {"frozen_sliced_weights",
     [](Scenario& s) {
         freeze(s);
         s.fidelity = Fidelity::sliced;
     }},
    {"frozen_circuit_weights",
     [](Scenario& s) {
         freeze(s);
         convert(s);
     }},
    {"frozen_keys",
     [](Scenario& s) {
         freeze(s);
         s.operand = Operand::keys;
     }},
    {"frozen_sliced_values_with_measured_noise",
     [](Scenario& s) {
         freeze(s);
         s.operand = Operand::values;
         s.fidelity = Fidelity::sliced;
         s.device.read_noise_law = ReadNoiseLaw::table;
     }},
    {"frozen_circuit_keys",
     [](Scenario& s) {
         freeze(s);
         convert(s);
         s.operand = Operand::keys;
     }},
    {"programmed_weights", [](Scenario& s) { s.device.programming_noise_sigma = 0.1; }},
    {"written_keys",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::keys;
     }},
    {"written_values",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::values;
     }},
    {"written_values_of_many_trials",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::values;
         s.sampled = Sampled::trials;
     }},
    {"written_sliced_keys_with_offset",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::keys;
         s.fidelity = Fidelity::sliced;
         s.crossbar.mapping = Mapping::offset;
     }},
    {"written_sliced_values",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::values;
         s.fidelity = Fidelity::sliced;
     }},
    {"written_circuit_keys",
     [](Scenario& s) {
         convert(s);
         write(s);
         s.device.read_noise_sigma = 0;
         s.operand = Operand::keys;
     }},
    {"written_values_with_measured_noise",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::values;
         s.device.write_noise_law = WriteNoiseLaw::table;
     }},
    {"written_and_clamped_keys",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::keys;
         s.device.clamp = Clamp::window;
     }},
    {"written_and_frozen_keys",
     [](Scenario& s) {
         write(s);
         freeze(s);
         s.operand = Operand::keys;
         s.device.clamp = Clamp::non_negative;
     }},
    {"written_keys_with_fresh_reads",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::keys;
         s.device.read_noise_sigma = 0.1;
     }},
    {"written_sliced_values_with_fresh_reads",
     [](Scenario& s) {
         write(s);
         s.operand = Operand::values;
         s.fidelity = Fidelity::sliced;
         s.device.read_noise_sigma = 0.1;
     }},
    {"written_circuit_values_with_fresh_reads",
     [](Scenario& s) {
         convert(s);
         write(s);
         s.operand = Operand::values;
     }},
};

INSTANTIATE_TEST_SUITE_P(Lasting, Shortcut, testing::ValuesIn(lasting), name_of);

// --- write and verify ---

/// Up to three writes of which a third misses at G_max, so that sigma, tolerance and attempts all matter.
void verify(Scenario& s) {
    s.device.write_noise_sigma = 0.3;
    s.transform.write_verify_iterations = 2;
    s.transform.write_verify_tolerance = 0.3;
    s.images = 30'000;
}

const Case verified[] = {
    {"keys",
     [](Scenario& s) {
         verify(s);
         s.operand = Operand::keys;
     }},
    {"sliced_values",
     [](Scenario& s) {
         verify(s);
         s.operand = Operand::values;
         s.fidelity = Fidelity::sliced;
     }},
    {"circuit_keys",
     [](Scenario& s) {
         convert(s);
         verify(s);
         s.device.read_noise_sigma = 0;
         s.operand = Operand::keys;
     }},
};

INSTANTIATE_TEST_SUITE_P(Verified, Shortcut, testing::ValuesIn(verified), name_of);

class VerifiedWrite : public testing::TestWithParam<Case> {};

TEST_P(VerifiedWrite, planted_error_of_five_percent_of_the_tolerance_is_found) {
    for (const double factor : {1.05, 0.95}) {
        Scenario scenario = scenario_of(GetParam());
        scenario.transform.write_verify_tolerance *= factor;
        const auto found = differences(of_engine(scenario), expected(GetParam()));
        EXPECT_GT(worst(found, Statistic::pooled_variance), limit) << factor;
    }
}

TEST_P(VerifiedWrite, one_attempt_too_many_or_too_few_is_found) {
    for (const std::uint32_t change : {1U, ~0U}) {
        Scenario scenario = scenario_of(GetParam());
        scenario.transform.write_verify_iterations += change;
        const auto found = differences(of_engine(scenario), expected(GetParam()));
        EXPECT_GT(worst(found, Statistic::pooled_variance), limit) << change;
    }
}

INSTANTIATE_TEST_SUITE_P(Verified, VerifiedWrite, testing::ValuesIn(verified), name_of);

}  // namespace
}  // namespace crossweep::crossbar
