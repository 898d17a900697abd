#pragma once
/// \file
/// Loops whose indices are shared among threads.
///
/// Threads that help sleep between loops, and a loop ends when its indices are done: it never waits
/// for a helper that has not woken up yet. So runs that share a machine's cores slow each other
/// down by no more than their share, which threads that spin while they wait do not keep to.

#include <functional>

#include "reference/core/index.hpp"

namespace apb {

/// Threads that loops of the calling thread run on, itself included: available_cores(), unless it
/// has set another number.
[[nodiscard]] int num_threads();
/// \param threads at least 1
void set_num_threads(int threads);

/// Calls body(i) once for every i from 0 to count - 1, lower ones earlier, on num_threads()
/// threads. After an exception no new call is begun, and the first exception is rethrown here. A
/// loop inside a body runs on that body's thread alone.
/// \throws CannotRun if a thread cannot be started; what a body throws
void parallel_for(Index count, const std::function<void(Index)>& body);

/// The same with a body for each thread, made by that thread: one with room of its own to work in.
void parallel_for_with(Index count, const std::function<std::function<void(Index)>()>& make_body);

}  // namespace apb
