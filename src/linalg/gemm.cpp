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

/// How w lies in memory: [k, n], [n, k], or as the product reads it fastest.
enum class Layout { plain, transposed, packed };

/// What a compiled product is for: rows and columns of y, inner size, and how far apart rows of x, w and y
/// are.
struct Shape {
    Layout layout;
    Index m, n, k, x_stride, w_stride, y_stride;
    auto operator<=>(const Shape&) const = default;
};

constexpr auto fp32 = dnnl::memory::data_type::f32;

dnnl::memory::desc strided(Index rows, Index columns, Index stride) {
    return {{rows, columns}, fp32, Dims{stride, 1}};
}

dnnl::memory::desc weights(const Shape& s, const dnnl::engine& engine) {
    if (s.layout == Layout::plain) return strided(s.k, s.n, s.w_stride);
    if (s.layout == Layout::transposed) return {{s.k, s.n}, fp32, Dims{1, s.w_stride}};
    const dnnl::memory::desc any({s.k, s.n}, fp32, dnnl::memory::format_tag::any);
    return dnnl::matmul::primitive_desc({strided(s.m, s.k, s.k), any, strided(s.m, s.n, s.n)}, engine)
        .weights_desc();
}

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

    /// w, [n, k], as a packed product of that shape reads it; empty if it reads it as it is.
    AlignedFloats pack(const Shape& plain, const float* w) {
        Shape packed = plain;
        packed.layout = Layout::packed;
        const auto from = weights(plain, engine_), to = weights(packed, engine_);
        if (from == to) return {};
        AlignedFloats reordered(to.get_size() / sizeof(float));
        dnnl::memory source(from, engine_, const_cast<float*>(w)), target(to, engine_, reordered.data());
        dnnl::reorder(source, target).execute(stream_, source, target);
        return reordered;
    }

  private:
    struct Product {
        dnnl::matmul primitive;
        dnnl::memory x, w, y;
        std::unordered_map<int, dnnl::memory> arguments;  ///< the same three, as oneDNN takes them
    };

    Product compile(const Shape& s) const {
        const auto x = strided(s.m, s.k, s.x_stride), w = weights(s, engine_),
                   y = strided(s.m, s.n, s.y_stride);
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

/// What `use` makes of this thread's multiplier.
template <class Use>
auto with_multiplier(const Use& use) {
    thread_local Multiplier multiplier;
    try {
        return use(multiplier);
    } catch (const dnnl::error& error) {
        throw InternalError(fmt::format("oneDNN's matmul failed: {} (status {})", error.what(),
                                        static_cast<int>(error.status)));
    }
}

void run(Layout layout, const ConstMatrixView& x, const float* w, Index w_stride, MatrixView& y) {
    const Shape shape{layout, y.rows(), y.cols(), x.cols(), x.outerStride(), w_stride, y.outerStride()};
    with_multiplier([&](Multiplier& multiply) { multiply(shape, x.data(), w, y.data()); });
}

void expect_shapes(bool fit, const ConstMatrixView& x, const ConstMatrixView& w, const MatrixView& y) {
    if (fit) return;
    throw InternalError(fmt::format("product of [{}, {}] and [{}, {}] does not give [{}, {}]", x.rows(),
                                    x.cols(), w.rows(), w.cols(), y.rows(), y.cols()));
}

}  // namespace

void multiply_transposed(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y) {
    expect_shapes(x.cols() == w.cols() && y.rows() == x.rows() && y.cols() == w.rows(), x, w, y);
    run(Layout::transposed, x, w.data(), w.outerStride(), y);
}

void multiply(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y) {
    expect_shapes(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(), x, w, y);
    run(Layout::plain, x, w.data(), w.outerStride(), y);
}

PackedMatrix::PackedMatrix(const ConstMatrixView& w, Index rows)
    : rows_(rows), outputs_(w.rows()), inputs_(w.cols()) {
    const Shape shape{Layout::transposed, rows, outputs_, inputs_, inputs_, w.outerStride(), outputs_};
    packed_ = with_multiplier([&](Multiplier& multiplier) { return multiplier.pack(shape, w.data()); });
}

void PackedMatrix::multiply(const ConstMatrixView& x, MatrixView y) const {
    if (x.rows() != rows_ || x.cols() != inputs_ || y.rows() != rows_ || y.cols() != outputs_)
        throw InternalError("a product of other shapes than its weights were packed for");
    // oneDNN 2.6 has no fast product of packed weights for rows that are further apart than they are long.
    thread_local Scratch dense_x, dense_y;
    MatrixView product = y.outerStride() == y.cols() ? y : dense_y.shaped(y.rows(), y.cols());
    if (x.outerStride() == x.cols()) {
        run(Layout::packed, x, packed_.data(), 0, product);
    } else {
        MatrixView copy = dense_x.shaped(x.rows(), x.cols());
        copy = x;
        run(Layout::packed, const_view(copy), packed_.data(), 0, product);
    }
    if (product.data() != y.data()) y = product;
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
