"""Cases of reductions and counting."""

import numpy as np
from harness import case, const, i32, i64, x

FLOATS = ("float32", "float64", "float16")
_REDUCE = ("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm")
CASES = [
    *(
        case(op, x(2, 3, 4, 5) + np.float32(0.25), i32(axes), keep_dims=keep)  # no mean that happens to be nearly 0
        for op in _REDUCE
        for axes in ([0], [1, 2], [-1], [3, 0, -2], [0, 1, 2, 3], [])
        for keep in (False, True)
    ),
    *(case(op, x(3, 4, dtype=t), i32(1)) for op in _REDUCE for t in FLOATS),
    *(case(op, x(3, 4, dtype=t), i32(0)) for op in _REDUCE[:5] for t in ("int32", "int64")),
    *(case(op, x(3, 4, dtype=t), i32(0)) for op in ("Max", "Min", "Sum") for t in ("uint8", "int8", "int16")),
    *(case(op, x(5), i64(0)) for op in _REDUCE),
    *(case(op, x(), i32([])) for op in _REDUCE),
    *(case(op, x(2, 1, 3, 1, 2, 2), i32([1, -1])) for op in _REDUCE),
    case("Sum", x(0, 3), i32(0)),
    *(case(op, np.array([[1, np.nan], [np.inf, 2]], np.float32), i32(1), gradient=False) for op in ("Sum", "Mean")),
    *(
        case(op, x(3, 4, dtype=bool), i32(axes), keep_dims=keep)
        for op in ("All", "Any")
        for axes in ([0], [-1], [0, 1], [])
        for keep in (False, True)
    ),
    case("Sum", x(3, 4, dtype="complex64"), i32(0), gradient=False),
    *(case(op, x(3, 4, 5, dtype=t), i32(axis)) for op in ("ArgMax", "ArgMin") for axis in (0, 1, -1) for t in FLOATS),
    *(case(op, x(3, 4, dtype=t), i32(1)) for op in ("ArgMax", "ArgMin") for t in ("int32", "int64", "uint8")),
    *(case(op, x(3, 4), i32(1), output_type=np.int32) for op in ("ArgMax", "ArgMin")),
    case("ArgMax", np.array([1, 3, 3, 0], np.float32), i32(0)),
    *(
        case(op, x(3, 4, 2), i32(axis), exclusive=e, reverse=r)
        for op in ("Cumsum", "Cumprod", "CumulativeLogsumexp")
        for axis in (0, -1)
        for e in (False, True)
        for r in (False, True)
    ),
    *(
        case(op, x(3, 4, dtype=t), i32(1))
        for op in ("Cumsum", "Cumprod")
        for t in ("float64", "float16", "int32", "int64")
    ),
    *(case("L2Loss", x(3, 4, dtype=t)) for t in FLOATS),
    case("L2Loss", x(2, 3, 4, 5)),
    case("Bincount", x(10, dtype="int32", low=0, high=8), i32(6), const(np.zeros(0, np.float32))),
    case("Bincount", x(10, dtype="int32", low=0, high=8), i32(6), x(10), unknown=False),
    case("Bincount", x(2, 5, dtype="int32", low=0, high=8), i32(6), const(np.zeros(0, np.int32))),
    case("Bincount", x(10, dtype="int32", low=0, high=8), i32(9), const(np.zeros(0, np.float64))),
    case("DenseBincount", x(10, dtype="int32", low=0, high=8), i32(6), const(np.zeros(0, np.float32))),
    case("DenseBincount", x(3, 10, dtype="int64", low=0, high=8), i64(6), const(np.zeros(0, np.float32))),
    case("DenseBincount", x(3, 4, dtype="int32", low=0, high=8), i32(6), const(x(3, 4)), binary_output=True),
    case("DenseBincount", x(3, 4, dtype="int32", low=0, high=8), i32(6), const(x(3, 4)), gradient=False),
    case("HistogramFixedWidth", x(40), const([-1.5, 1.5], np.float32), i32(5)),
    case("HistogramFixedWidth", x(40, dtype="float64"), const([-1.5, 1.5], np.float64), i32(7), dtype=np.int64),
    case("HistogramFixedWidth", x(40, dtype="int32"), const([-5, 5], np.int32), i32(4)),
    *(
        case("Bucketize", x(4, 5, dtype=t), boundaries=[-1.0, 0.0, 0.5, 2.0])
        for t in ("float32", "float64", "int32", "int64")
    ),
]
CASES += [  # what random cases found
    *(
        case(op, x(2, 0, 3), i32([1]), keep_dims=True, gradient=False, unknown=False)
        for op in ("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm")
    ),
    case("Any", x(2, 0, dtype=bool), i32([1]), unknown=False),
    case("L2Loss", x(0), unknown=False),
    *(case("EuclideanNorm", x(2, 3, dtype=t, low=1, high=9), i32([-1])) for t in ("int32", "int64", "uint8")),
    case("EuclideanNorm", x(2, 3, dtype="complex64"), i32([-1]), gradient=False),
    *(case(op, x(4, dtype=bool), i32(0)) for op in ("ArgMin", "ArgMax")),
]
