// How exactly a device multiplies floats.
#pragma once

namespace gradus {

/// highest: with all 24 bits of a float. high: a device may round the factors to TF32's 11 bits, where its matrix units are several times
/// as fast; sums stay float.
enum class Float32Precision { highest, high };

/// What float products, convolutions and their gradients use from now on, in all threads. At first it is highest. On the CPU it
/// changes nothing, and for half types and double nowhere.
void set_float32_matmul_precision(Float32Precision precision);
Float32Precision float32_matmul_precision();

}  // namespace gradus
