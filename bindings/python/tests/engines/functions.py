"""Functions as tasks, in a module that workers can import."""

import series


def native_sum(worker, folder):
    return series.compute(folder, worker.restore(), worker.safe_point)


def plain_sum(folder):
    return series.compute(folder, None, lambda state: None)


def fails(worker, folder):
    native_sum(worker, folder)
    raise LookupError("nothing there")
