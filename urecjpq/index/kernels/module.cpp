// urecjpq.index._kernels: arrays in, arrays out. Python checks values; here only shapes are taken.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>

#include "paths.hpp"
#include "search.hpp"
#include "table.hpp"

namespace nb = nanobind;
using namespace urecjpq;

template <class T, int N>
using Array = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::ndarray<nb::numpy, T> fresh(std::vector<size_t> shape, T*& data) {
    size_t size = 1;
    for (size_t length : shape) size *= length;
    data = new T[size];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner);
}

static nb::object score_table(Array<float, 2> queries, Array<float, 3> centroids, int threads) {
    const size_t m = centroids.shape(0), dim = centroids.shape(1), b = centroids.shape(2);
    if (queries.shape(1) != m * dim) throw std::invalid_argument("queries must have m * c columns");
    float* out;
    auto tables = fresh<float>({queries.shape(0), m, b}, out);
    {
        nb::gil_scoped_release release;
        fill_tables(queries.data(), centroids.data(), int64_t(queries.shape(0)), int64_t(m),
                    int64_t(dim), int64_t(b), threads, out);
    }
    return nb::cast(tables);
}

// What the search of one segment takes, with sub-ids of one byte or two.
template <class SubId>
class PySegment {
public:
    PySegment(Array<SubId, 2> lines, Array<uint32_t, 1> first_line, Array<SubId, 3> keys,
              Array<uint32_t, 1> id_base, Array<uint32_t, 1> id_first,
              Array<uint64_t, 1> id_planes, int64_t num_items, Array<int32_t, 1> split_order,
              int codebook_size)
        : lines_(lines), first_line_(first_line), keys_(keys), id_base_(id_base),
          id_first_(id_first), id_planes_(id_planes),
          split_of_(split_order.data(), split_order.data() + split_order.shape(0)),
          place_of_(split_of_.size()), codebook_size_(codebook_size) {
        for (size_t place = 0; place < split_of_.size(); ++place)
            place_of_.at(size_t(split_of_[place])) = int32_t(place);
        int stride = sizeof(SubId) == 1 ? 256 : 1;
        while (stride < codebook_size) stride *= 2;
        segment_ = {lines.data(),      first_line.data(), keys.data(),
                    id_base.data(),    id_first.data(),   id_planes.data(),
                    split_of_.data(),  place_of_.data(),  num_items,
                    int64_t(id_base.shape(0)), int(split_of_.size()), int(keys.shape(1)), stride};
        searcher_ = std::make_unique<Searcher<SubId>>(segment_, codebook_size);
    }

    nb::object search(Array<float, 3> tables, int64_t k, const std::string& method, int threads,
                      const std::string& simd, std::optional<Array<uint64_t, 1>> removed,
                      std::optional<Array<uint64_t, 1>> allowed,
                      std::optional<Array<int64_t, 1>> exclude_first,
                      std::optional<Array<uint32_t, 1>> exclude_ids,
                      std::optional<Array<double, 1>> slack,
                      std::optional<Array<float, 2>> vectors,
                      std::optional<Array<float, 2>> queries) {
        Filter<SubId> filter;
        choose(simd, codebook_size_, filter);
        const size_t num_queries = tables.shape(0);
        Batch batch{};
        auto ids = fresh<int64_t>({num_queries, size_t(k)}, batch.ids);
        auto scores = fresh<float>({num_queries, size_t(k)}, batch.scores);
        auto counts = fresh<int64_t>({num_queries, 6}, batch.counts);
        batch.num_queries = int64_t(num_queries);
        batch.k = k;
        batch.method = method_of(method);
        batch.threads = std::max(threads, 1);
        if (removed) {
            batch.rules.removed = removed->data();
            batch.rules.num_ids = int64_t(removed->shape(0)) * 64;
        }
        if (allowed) batch.rules.allowed = allowed->data();
        if (exclude_first) batch.exclude_first = exclude_first->data();
        if (exclude_ids) batch.exclude_ids = exclude_ids->data();
        if (slack) batch.slack = slack->data();
        if (vectors) {
            batch.rules.vectors = vectors->data();
            batch.rules.dim = int64_t(vectors->shape(1));
            batch.rules.num_ids = std::min(batch.rules.num_ids, int64_t(vectors->shape(0)));
            batch.queries = queries.value().data();
        }
        {
            nb::gil_scoped_release release;
            std::vector<float> padded;
            batch.tables = strided(tables, padded);
            searcher_->run(batch, filter);
        }
        return nb::make_tuple(ids, scores, counts);
    }

    nb::object ids() {
        uint32_t* out;
        auto found = fresh<uint32_t>({size_t(segment_.num_blocks) * BLOCK}, out);
        {
            nb::gil_scoped_release release;
            for (int64_t block = 0; block < segment_.num_blocks; ++block)
                for (int i = 0; i < BLOCK; ++i)
                    out[block * BLOCK + i] =
                        segment_.used(block) >> i & 1 ? segment_.id(block, i) : 0xffffffffu;
        }
        return nb::cast(found);
    }

private:
    static Method method_of(const std::string& name) {
        if (name == "scan") return Method::scan;
        if (name == "pqtopk") return Method::pqtopk;
        if (name == "prune") return Method::prune;
        throw std::invalid_argument("method must be scan, pqtopk or prune; got " + name);
    }

    // Tables with a power of two of entries per split, so that no sub-id reads outside.
    const float* strided(const Array<float, 3>& tables, std::vector<float>& padded) const {
        const size_t rows = tables.shape(0) * tables.shape(1), b = tables.shape(2);
        const size_t stride = size_t(segment_.stride);
        if (b == stride) return tables.data();
        padded.resize(rows * stride);
        for (size_t row = 0; row < rows; ++row)
            std::copy_n(tables.data() + row * b, b, padded.data() + row * stride);
        return padded.data();
    }

    Array<SubId, 2> lines_;  // kept alive for segment_
    Array<uint32_t, 1> first_line_;
    Array<SubId, 3> keys_;
    Array<uint32_t, 1> id_base_, id_first_;
    Array<uint64_t, 1> id_planes_;
    std::vector<int32_t> split_of_, place_of_;
    int codebook_size_;
    Segment<SubId> segment_;
    std::unique_ptr<Searcher<SubId>> searcher_;
};

template <class SubId>
void bind_segment(nb::module_& module, const char* name) {
    using Class = PySegment<SubId>;
    nb::class_<Class>(module, name)
        .def(nb::init<Array<SubId, 2>, Array<uint32_t, 1>, Array<SubId, 3>, Array<uint32_t, 1>,
                      Array<uint32_t, 1>, Array<uint64_t, 1>, int64_t, Array<int32_t, 1>, int>(),
             nb::arg("lines").noconvert(), nb::arg("first_line").noconvert(),
             nb::arg("keys").noconvert(), nb::arg("id_base").noconvert(),
             nb::arg("id_first").noconvert(), nb::arg("id_planes").noconvert(),
             nb::arg("num_items"), nb::arg("split_order").noconvert(), nb::arg("codebook_size"))
        .def("search", &Class::search, nb::arg("tables").noconvert(), nb::arg("k"),
             nb::arg("method"), nb::arg("threads"), nb::arg("simd"),
             nb::arg("removed").noconvert() = nb::none(),
             nb::arg("allowed").noconvert() = nb::none(),
             nb::arg("exclude_first").noconvert() = nb::none(),
             nb::arg("exclude_ids").noconvert() = nb::none(),
             nb::arg("slack").noconvert() = nb::none(),
             nb::arg("vectors").noconvert() = nb::none(),
             nb::arg("queries").noconvert() = nb::none())
        .def("ids", &Class::ids);
}

NB_MODULE(_kernels, module) {
    module.def("simd_paths", &simd_paths);
    module.def("score_table", &score_table, nb::arg("queries").noconvert(),
               nb::arg("centroids").noconvert(), nb::arg("threads"));
    bind_segment<uint8_t>(module, "Segment");
    bind_segment<uint16_t>(module, "WideSegment");
}
