#include "crossweep/linalg/gemm.hpp"

#include <dnnl_debug.h>
#include <fmt/format.h>
#include <omp.h>

#include <dnnl.hpp>
#include <map>
#include <string_view>
#include <unordered_map>

#include "crossweep/core/build_info.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::linalg {
namespace {

using Eigen::Index;
using Dims = dnnl::memory::dims;

/// What a compiled product is for: rows and columns of y, inner size, and how far apart rows of x, w and y
/// are.
struct Shape {
    bool transposed;
    Index m, n, k, x_stride, w_stride, y_stride;
    auto operator<=>(const Shape&) const = default;
};

/// Products compiled for the shapes seen so far, on one thread: one rank is one core, and ranks that each
/// start a thread per core would fight.
class Multiplier {
  public:
    Multiplier() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) { omp_set_num_threads(1); }

    void operator()(const Shape& shape, const float* x, const float* w, float* y) {
        auto found = products_.find(shape);
        if (found == products_.end()) found = products_.emplace(shape, compile(shape)).first;
        Product& product = found->second;
        // oneDNN takes inputs by a handle that could be written to; it does not write to them.
        product.x.set_data_handle(const_cast<float*>(x));
        product.w.set_data_handle(const_cast<float*>(w));
        product.y.set_data_handle(y);
        product.primitive.execute(stream_, product.arguments);
    }

  private:
    struct Product {
        dnnl::matmul primitive;
        dnnl::memory x, w, y;
        std::unordered_map<int, dnnl::memory> arguments;  ///< the same three, as oneDNN takes them
    };

    Product compile(const Shape& s) const {
        constexpr auto fp32 = dnnl::memory::data_type::f32;
        const dnnl::memory::desc x({s.m, s.k}, fp32, Dims{s.x_stride, 1});
        const dnnl::memory::desc w({s.k, s.n}, fp32,
                                   s.transposed ? Dims{1, s.w_stride} : Dims{s.w_stride, 1});
        const dnnl::memory::desc y({s.m, s.n}, fp32, Dims{s.y_stride, 1});
        const auto unset = [&](const dnnl::memory::desc& desc) {
            return dnnl::memory(desc, engine_, nullptr);
        };
        Product product{dnnl::matmul({{x, w, y}, engine_}), unset(x), unset(w), unset(y), {}};
        product.arguments = {
            {DNNL_ARG_SRC, product.x}, {DNNL_ARG_WEIGHTS, product.w}, {DNNL_ARG_DST, product.y}};
        return product;
    }

    dnnl::engine engine_;
    dnnl::stream stream_;
    std::map<Shape, Product> products_;
};

void run(bool transposed, const ConstMatrixView& x, const ConstMatrixView& w, MatrixView& y) {
    thread_local Multiplier multiplier;
    try {
        multiplier(
            {transposed, y.rows(), y.cols(), x.cols(), x.outerStride(), w.outerStride(), y.outerStride()},
            x.data(), w.data(), y.data());
    } catch (const dnnl::error& error) {
        throw InternalError(fmt::format("oneDNN's matmul failed: {} (status {})", error.what(),
                                        static_cast<int>(error.status)));
    }
}

void expect_shapes(bool fit, const ConstMatrixView& x, const ConstMatrixView& w, const MatrixView& y) {
    if (fit) return;
    throw InternalError(fmt::format("product of [{}, {}] and [{}, {}] does not give [{}, {}]", x.rows(),
                                    x.cols(), w.rows(), w.cols(), y.rows(), y.cols()));
}

}  // namespace

void multiply_transposed(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y) {
    expect_shapes(x.cols() == w.cols() && y.rows() == x.rows() && y.cols() == w.rows(), x, w, y);
    run(true, x, w, y);
}

void multiply(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y) {
    expect_shapes(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(), x, w, y);
    run(false, x, w, y);
}

std::string gemm_version() {
    const dnnl_version_t* version = dnnl_version();
    return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

std::string arithmetic_path() {
    constexpr std::string_view prefix = "cpu_isa_";
    std::string_view name = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa());
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    return fmt::format("{} + oneDNN {}", instruction_set(), name);
}

}  // namespace crossweep::linalg
