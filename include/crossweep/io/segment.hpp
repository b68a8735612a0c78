// Segments: the files of a run directory that hold finished records. Written once, atomically; never
// reopened.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/io/record.hpp"

namespace crossweep::io {

/// Write `records` to `path` as HDF5 columns, with record version, content hash and the build_info of this
/// program as attributes. Throws DataError (disk full, not writable).
void write_segment(const std::filesystem::path& path, std::span<const Record> records);

/// The bytes of a segment are not those that were written: its records are lost.
class DamagedSegment : public DataError {
  public:
    using DataError::DataError;
};

/// Read a segment and check its hash. Throws DamagedSegment, or DataError if it cannot be read now or is of
/// an unknown version: then its records may be whole.
std::vector<Record> read_segment(const std::filesystem::path& path);
/// The same into `records`, whose memory is used again.
void read_segment(const std::filesystem::path& path, std::vector<Record>& records);

/// The same without the records' arrays, which are only checked to be as they were written.
std::vector<RecordStatus> read_segment_status(const std::filesystem::path& path);

}  // namespace crossweep::io
