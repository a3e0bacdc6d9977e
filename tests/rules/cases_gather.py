"""Cases of gather, scatter and segments."""

import numpy as np
from harness import case, const, i32, i64, x

TYPES = ("float32", "float64", "float16", "int32", "int64", "uint8", "bool")


def ids(*values, dtype=np.int32):
    return np.array(values, dtype)


CASES = [
    *(case("GatherV2", x(5, 4, dtype=t), ids(3, 0, 0), i32(0)) for t in TYPES),
    case("GatherV2", x(5, 4, 3), np.array([[1, 0], [2, 2]], np.int64), i32(1)),
    case("GatherV2", x(5, 4), ids(3, 1), i32(-1)),
    case("GatherV2", x(5, 4), np.int32(2), i32(0)),
    case("GatherV2", x(5, 4), i32([1, 2]), i32(1)),
    case("GatherV2", x(2, 4, 3), np.array([[1, 0], [2, 2]], np.int32), i32(1), batch_dims=1),
    case("GatherV2", x(2, 3, 4, 2), x(2, 3, 2, dtype="int32", low=0, high=4), i32(2), batch_dims=2),
    case("GatherV2", x(2, 3, 4), x(2, 2, dtype="int32", low=0, high=4), i32(2), batch_dims=1),
    case("Gather", x(5, 4), ids(3, 0)),
    case("GatherV2", const(x(30, 4)), ids(3, 0), i32(0)),
    case("GatherNd", x(3, 4, 5), np.array([[0, 1], [2, 3]], np.int32)),
    case("GatherNd", x(3, 4), np.array([[[0], [2]]], np.int64)),
    case("GatherNd", x(3, 4, dtype="int32"), np.array([[0, 1]], np.int32)),
    case("GatherNd", x(3, 4), ids(1, 2), gradient=False),
    case("GatherNd", x(3, 4), const(np.zeros((2, 0), np.int32)), gradient=False),
    case("ScatterNd", np.array([[1], [3], [1]], np.int32), x(3, 4), i32([5, 4])),
    case("ScatterNd", np.array([[1, 0], [2, 3]], np.int64), x(2), i64([3, 4])),
    case("ScatterNd", np.array([[1], [3]], np.int32), x(2, dtype="int32"), i32([5])),
    *(
        case(op, x(5, 3), np.array([[1], [3]], np.int32), x(2, 3))
        for op in (
            "TensorScatterUpdate",
            "TensorScatterAdd",
            "TensorScatterSub",
            "TensorScatterMin",
            "TensorScatterMax",
            "ScatterNdNonAliasingAdd",
        )
    ),
    case("TensorScatterAdd", x(5, 3), np.array([[1, 0], [1, 0]], np.int32), x(2)),
    case("TensorScatterUpdate", x(5, dtype="int32"), np.array([[1], [3]], np.int32), x(2, dtype="int32")),
    case("TensorScatterAdd", x(5, dtype="float64"), np.array([[1], [3]], np.int64), x(2, dtype="float64")),
    *(case("SelectV2", x(3, 4, dtype=bool), x(3, 4, dtype=t), x(4, dtype=t)) for t in TYPES),
    case("SelectV2", x(3, 1, dtype=bool), x(3, 4), const(0.0, np.float32)),
    case("SelectV2", x(2, 3, 4, 5, dtype=bool), x(2, 3, 4, 5), x(2, 3, 4, 5)),
    case("SelectV2", np.bool_(True), x(3), x(3)),
    case("SelectV2", x(3, dtype=bool), const(1.0, np.float32), const(0.0, np.float32)),
    case("Select", x(3, dtype=bool), x(3, 4), x(3, 4)),
    case("Select", x(3, 4, dtype=bool), x(3, 4), x(3, 4)),
    case("Select", np.bool_(False), x(3, 4), x(3, 4)),
    *(case("Where", x(3, 4, dtype=t)) for t in ("bool", "float32", "int32")),
    case("Where", np.zeros(3, bool)),
    case("Where", x(2, 3, 2, dtype=bool)),
    case("DynamicPartition", x(5, 2), ids(0, 2, 0, 1, 2), num_partitions=3),
    case("DynamicPartition", x(4), ids(0, 0, 1, 0), num_partitions=2),
    case("DynamicPartition", x(2, 3, 2), np.array([[0, 1, 0], [1, 1, 0]], np.int32), num_partitions=2),
    case("DynamicStitch", [ids(0, 3), ids(1, 2)], [x(2, 3), x(2, 3)]),
    case("DynamicStitch", [ids(0, 1), ids(1, 2)], [x(2), x(2)], gradient=False),
    case("ParallelDynamicStitch", [ids(0, 3), ids(1, 2)], [x(2, 3), x(2, 3)]),
    case("DynamicStitch", [np.int32(0), ids(1, 2)], [x(3), x(2, 3)]),
    *(
        case(op, np.array([3, 1, 3, 2, 1], t))
        for op in ("Unique", "UniqueWithCounts")
        for t in ("float32", "int32", "int64")
    ),
    case("Unique", ids(1, 1), out_idx=np.int64),
    case("UniqueV2", ids(4, 2, 4), i64([0])),
    case("ListDiff", ids(1, 2, 3, 4, 3), ids(2, 4)),
    case("ListDiff", x(4), x(2), out_idx=np.int64),
    *(
        case(f"UnsortedSegment{k}", x(5, 3, dtype=t), ids(1, 0, 1, 3, 0), i32(5))
        for k in ("Sum", "Prod", "Max", "Min")
        for t in ("float32", "float64", "int32")
    ),
    case("UnsortedSegmentSum", x(2, 3, 2), np.array([[0, 1, 0], [2, -1, 0]], np.int64), i32(3), gradient=False),
    case("UnsortedSegmentMax", x(4), ids(0, 0, 2, 2), i32(3)),
    *(case(f"Segment{k}", x(5, 3), ids(0, 0, 1, 3, 3)) for k in ("Sum", "Mean", "Max", "Min")),
    case("SegmentProd", x(5, 3), ids(0, 0, 1, 3, 3), gradient=False),
    case("SegmentSum", x(4, dtype="int32"), ids(0, 1, 1, 2)),
    case("SegmentSum", x(4, dtype="float64"), ids(0, 1, 1, 2)),
    *(case(f"SparseSegment{k}", x(5, 3), ids(4, 0, 2), ids(0, 0, 2)) for k in ("Sum", "Mean", "SqrtN")),
    *(
        case(f"SparseSegment{k}WithNumSegments", x(5, 3), ids(4, 0, 2), ids(0, 0, 2), i32(4))
        for k in ("Sum", "Mean", "SqrtN")
    ),
    *(case(op, np.sort(x(2, 6), axis=1), x(2, 3)) for op in ("LowerBound", "UpperBound")),
    case("LowerBound", np.array([[1, 3, 3, 5]], np.int32), np.array([[3, 0, 9]], np.int32)),
    case("UpperBound", np.array([[1, 3, 3, 5]], np.int64), np.array([[3, 0, 9]], np.int64), out_type=np.int64),
    case("SparseToDense", np.array([[0, 1], [2, 3]], np.int32), i32([3, 4]), x(2), const(-1.0, np.float32)),
    case("SparseToDense", ids(1, 3), i32([5]), const(1.0, np.float32), const(0.0, np.float32)),
    case("SparseToDense", np.array([[0, 1], [2, 3]], np.int64), i64([3, 4]), x(2, dtype="int32"), i32(7)),
    case("SparseTensorDenseAdd", np.array([[0, 1], [2, 3]], np.int64), x(2), i64([3, 4]), x(3, 4)),
    case("SparseReshape", np.array([[0, 1], [2, 3]], np.int64), i64([3, 4]), i64([2, 6])),
    case("SparseReshape", np.array([[0, 1], [2, 3]], np.int64), i64([3, 4]), i64([-1, 2])),
    *(
        case("SparseTensorDenseMatMul", np.array([[0, 1], [2, 3]], np.int64), x(2), i64([3, 4]), x(*s), **k)
        for s, k in (((4, 2), {}), ((3, 2), {"adjoint_a": True}), ((2, 4), {"adjoint_b": True}))
    ),
]
