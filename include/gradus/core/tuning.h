// Whether devices try several ways of doing a thing and keep the fastest, and which ways they may take.
#pragma once

namespace gradus {

/// On: where a library of a device knows several ways for a product, a convolution or attention, those it deems best are timed when a shape is
/// met for the first time, and the fastest serves from then on; so does it where the next step can be part of the product's kernel or follow it. Off, as it is at first: its
/// first proposal serves, so two runs of a program give the same bits; tuned ones may differ in the last, since another way may have won. For
/// all threads. The CPU has nothing to tune.
void set_kernel_tuning(bool on);
bool kernel_tuning();

/// Off: cuDNN's gradient of attention may add in any order, which is faster and needs less memory; two runs then differ in the last bits. On,
/// as it is at first, no result of any op depends on such an order. For all threads.
void set_deterministic(bool on);
bool deterministic();

}  // namespace gradus
