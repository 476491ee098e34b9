// What is thrown. Each message names the op, the values and the way out.
#pragma once
#include <stdexcept>
#include <string>

namespace gradus {

// clang-format off
/// The base of all that the library throws on bad input.
struct Error : std::runtime_error { using std::runtime_error::runtime_error; };
struct ShapeError : Error { using Error::Error; };    // shapes, ranks, axes that do not fit
struct DTypeError : Error { using Error::Error; };    // an element type that the op does not take, or a mixture
struct DeviceError : Error { using Error::Error; };   // tensors on different devices; a device that is not there
struct IndexError : Error { using Error::Error; };    // an index or a class number outside its range
struct ValueError : Error { using Error::Error; };    // any other argument that makes no sense
struct GraphError : Error { using Error::Error; };    // freed graphs, writes on saved tensors, missing gradients
struct IoError : Error { using Error::Error; };       // files: missing, truncated, lying, unwritable
struct OutOfMemory : Error { using Error::Error; };   // the request and the allocator's state; the process can go on
// clang-format on

}  // namespace gradus
