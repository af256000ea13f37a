// Kernel `parallel`: one loop over independent jobs on several threads.
//
// Jobs are taken in order by whoever is free. Each writes its own part of the result, so that the answer does not
// depend on the number of threads; of several failures the one of the earliest job is thrown.
#pragma once

#include <functional>

#include "surgetank/core.hpp"

namespace surgetank {

/// `threads` as asked for (0: as many as the machine has), but no more than there are jobs.
/// Throws InvalidInput for a negative number.
Index check_threads(Index threads, Index jobs);

/// Calls work(worker, job, poll) for every job in [0, jobs); worker in [0, check_threads(threads, jobs)) says whose
/// scratch memory to use. The calling thread is worker 0, and only its poll is the caller's: it may throw to abandon
/// the whole loop. Long jobs call the poll they are given now and then.
void parallel(Index jobs, Index threads, const Poll& poll,
              const std::function<void(Index worker, Index job, const Poll& poll)>& work);

}  // namespace surgetank
