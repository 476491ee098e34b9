// Whether devices try several ways of doing a thing and keep the fastest.
#pragma once

namespace gradus {

/// On: where a library of a device knows several ways for a product, those it deems best are timed when a shape is met for the first time, and
/// the fastest serves from then on; so does it where the next step can be part of the product's kernel or follow it. Off, as it is at first: its
/// first proposal serves, so two runs of a program give the same bits; tuned ones may differ in the last, since another way may have won. For
/// all threads. The CPU has nothing to tune.
void set_kernel_tuning(bool on);
bool kernel_tuning();

}  // namespace gradus
