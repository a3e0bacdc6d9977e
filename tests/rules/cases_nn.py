"""Cases of layers."""

import numpy as np
from harness import case, const, i32, x

FLOATS = ("float32", "float64", "float16")


def w(*shape, dtype="float32"):
    return const(x(*shape, dtype=dtype, low=-0.5, high=0.5))


def near(dtype):
    """MindSpore's float64 kernels of these compute in float32."""
    return {"forward": 2e-6, "grad": 1e-5} if dtype == "float64" else {}


def conv(data, kernel, stride=1, padding="SAME", dilation=1, op="Conv2D", **more):
    s, d = (v if isinstance(v, tuple) else (v, v) for v in (stride, dilation))
    return case(op, data, kernel, strides=[1, *s, 1], padding=padding, dilations=[1, *d, 1], **more)


CASES = [
    conv(x(1, 8, 8, 3, dtype="float16"), w(3, 3, 3, 4, dtype="float16"), grad=1e-2),
    *(conv(x(2, 9, 8, 3), w(3, 3, 3, 4), s, p) for s in (1, 2, 3) for p in ("SAME", "VALID")),
    *(conv(x(2, 9, 8, 3), w(3, 2, 3, 4), 1, p, 2) for p in ("SAME", "VALID")),
    conv(x(2, 9, 8, 3), w(5, 1, 3, 4), (2, 1)),
    conv(x(2, 9, 8, 3), w(1, 1, 3, 8)),
    conv(x(2, 9, 8, 4), w(3, 3, 2, 6), unknown=False),
    conv(x(2, 7, 7, 3), w(3, 3, 3, 4), 2, "EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0]),
    conv(x(2, 9, 8, 3), x(3, 3, 3, 4), 2, unknown=False),
    conv(x(2, 7, 7, 3), x(3, 3, 3, 4), 1, "EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0], unknown=False),
    *(
        conv(x(2, 9, 8, 3), w(3, 3, 3, m), s, p, op="DepthwiseConv2dNative")
        for m in (1, 2)
        for s in (1, 2)
        for p in ("SAME", "VALID")
    ),
    conv(x(2, 9, 9, 3), w(3, 3, 3, 2), 1, "SAME", 2, op="DepthwiseConv2dNative", gradient=False),
    conv(
        x(2, 7, 7, 3),
        w(3, 3, 3, 1),
        2,
        "EXPLICIT",
        op="DepthwiseConv2dNative",
        explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0],
    ),
    conv(x(2, 9, 8, 3), x(3, 3, 3, 2), 1, op="DepthwiseConv2dNative", unknown=False),
    *(
        case("Conv3D", x(1, 5, 6, 7, 2), w(3, 2, 3, 2, 4), strides=[1, s, s, s, 1], padding=p)
        for s in (1, 2)
        for p in ("SAME", "VALID")
    ),
    case(
        "Conv3D",
        x(1, 7, 7, 7, 2),
        w(2, 2, 2, 2, 3),
        strides=[1] * 5,
        padding="VALID",
        dilations=[1, 2, 2, 2, 1],
        gradient=False,
    ),
    *(
        case(
            "Conv2DBackpropInput",
            i32([2, h, h, 3]),
            w(k, k, 3, 4),
            x(2, 4, 4, 4),
            strides=[1, s, s, 1],
            padding=p,
            unknown=False,
        )
        for h, k, s, p in (
            (8, 3, 2, "SAME"),
            (7, 3, 2, "SAME"),
            (4, 3, 1, "SAME"),
            (9, 3, 2, "VALID"),
            (10, 3, 2, "VALID"),
            (8, 2, 2, "VALID"),
            (12, 5, 3, "SAME"),
            (8, 1, 2, "VALID"),
        )
    ),
    case(
        "Conv2DBackpropInput",
        i32([2, 8, 6, 3]),
        w(3, 2, 3, 4),
        x(2, 4, 6, 4),
        strides=[1, 2, 1, 1],
        padding="SAME",
        unknown=False,
    ),
    *(
        case(
            "Conv3DBackpropInputV2",
            i32([1, *h, 2]),
            w(3, 3, 3, 2, 4),
            x(1, 3, 3, 3, 4),
            strides=[1, s, s, s, 1],
            padding=p,
            unknown=False,
        )
        for h, s, p in (((6, 6, 6), 2, "SAME"), ((5, 5, 5), 1, "VALID"), ((7, 7, 7), 2, "VALID"))
    ),
    *(
        case("Dilation2D", x(2, 7, 8, 3), w(3, 2, 3), strides=[1, s, s, 1], rates=[1, r, r, 1], padding=p)
        for s, r, p in ((1, 1, "SAME"), (2, 1, "VALID"), (1, 2, "SAME"))
    ),
    *(
        case(op, x(2, 9, 8, 3), ksize=[1, k, k, 1], strides=[1, s, s, 1], padding=p)
        for op in ("MaxPool", "AvgPool")
        for k, s in ((2, 2), (3, 2), (3, 1))
        for p in ("SAME", "VALID")
    ),
    case("MaxPool", x(2, 9, 8, 3), ksize=[1, 3, 2, 1], strides=[1, 2, 1, 1], padding="SAME"),
    *(
        case(op, x(2, 5, 5, 3, dtype=t), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME", **near(t))
        for op in ("MaxPool", "AvgPool")
        for t in FLOATS[1:]
    ),
    case(
        "MaxPool",
        x(2, 7, 7, 3),
        ksize=[1, 3, 3, 1],
        strides=[1, 2, 2, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, 1, 2, 0, 1, 0, 0],
    ),
    case("MaxPoolV2", x(2, 7, 7, 3), i32([1, 3, 3, 1]), i32([1, 2, 2, 1]), padding="SAME"),
    *(
        case(op, x(1, 5, 6, 5, 2), ksize=[1, 2, 3, 2, 1], strides=[1, 2, 2, 1, 1], padding=p)
        for op in ("MaxPool3D", "AvgPool3D")
        for p in ("SAME", "VALID")
    ),
    *(
        case(
            "MaxPoolWithArgmax",
            x(2, 6, 5, 3),
            ksize=[1, 2, 2, 1],
            strides=[1, 2, 2, 1],
            padding=p,
            include_batch_in_index=b,
        )
        for p in ("VALID", "SAME")
        for b in (False, True)
    ),
    case("BiasAdd", x(2, 3), w(3)),
    case("BiasAdd", x(2, 4, 5, 3), w(3)),
    case("BiasAdd", x(2, 4, 5, 3), x(3)),
    case("BiasAdd", x(2, 4, 3), w(3)),
    case("BiasAdd", x(2, 2, 2, 2, 3), w(3)),
    case("BiasAddV1", x(2, 3), w(3)),
    case("BiasAdd", x(2, 3, dtype="float64"), w(3, dtype="float64")),
    case("BiasAdd", x(2, 3, dtype="int32"), const(np.array([1, 2, 3], np.int32))),
    case("BiasAdd", x(2, 2, 2, 2, 2, 3), w(3)),
    *(
        case("LRN", x(2, 4, 4, c), depth_radius=r, bias=b, alpha=0.01, beta=e)
        for c, r, b, e in ((16, 2, 1.0, 0.75), (7, 5, 2.0, 0.5), (5, 1, 1.0, 0.75))
    ),
    *(
        case(
            f"FusedBatchNorm{v}",
            x(2, 4, 5, 3),
            w(3),
            w(3),
            w(3),
            const(x(3, low=0.5, high=2)),
            is_training=False,
            outputs=(0,),
        )
        for v in ("", "V2", "V3")
    ),
    case(
        "FusedBatchNormV3",
        x(2, 4, 5, 3),
        x(3),
        x(3),
        x(3),
        x(3, low=0.5, high=2),
        is_training=False,
        outputs=(0,),
        epsilon=1e-3,
    ),
    case(
        "FusedBatchNormV3",
        x(2, 4, 5, 3, dtype="float16"),
        w(3),
        w(3),
        w(3),
        const(x(3, low=0.5, high=2)),
        is_training=False,
        outputs=(0,),
        gradient=False,
    ),
    case(
        "FusedBatchNormV3",
        x(2, 4, 5, 3),
        x(3),
        x(3),
        const(np.zeros(0, np.float32)),
        const(np.zeros(0, np.float32)),
        is_training=True,
        outputs=(0,),
        epsilon=1e-3,
    ),
    case(
        "FusedBatchNorm",
        x(2, 4, 5, 3),
        w(3),
        w(3),
        const(np.zeros(0, np.float32)),
        const(np.zeros(0, np.float32)),
        is_training=True,
        outputs=(0, 1, 2),
        gradient=False,
    ),
    *(
        case(
            "ExtractImagePatches",
            x(2, 7, 8, 3),
            ksizes=[1, 3, 2, 1],
            strides=[1, 2, 1, 1],
            rates=[1, r, r, 1],
            padding=p,
        )
        for r, p in ((1, "SAME"), (2, "VALID"), (1, "VALID"))
    ),
    *(case("SpaceToDepth", x(2, 4, 6, 3, dtype=t), block_size=2, **near(t)) for t in ("float32", "float64", "int32")),
    *(case("DepthToSpace", x(2, 4, 3, 8, dtype=t), block_size=2, **near(t)) for t in ("float32", "float64", "int32")),
    case("SpaceToBatchND", x(2, 4, 5, 3), i32([2, 3]), i32([[0, 0], [1, 0]])),
    case("SpaceToBatchND", x(2, 5, 3), i32([2]), i32([[1, 0]])),
    case("SpaceToBatch", x(2, 4, 4, 3), i32([[0, 0], [1, 1]]), block_size=2),
    case("BatchToSpaceND", x(12, 2, 3, 3), i32([2, 3]), i32([[0, 1], [1, 0]])),
    case("BatchToSpace", x(8, 2, 3, 3), i32([[0, 0], [1, 1]]), block_size=2),
    case("SpaceToBatchND", x(1, 4, 4, 2, dtype="int32"), i32([2, 2]), i32([[0, 0], [0, 0]])),
    *(case("TopKV2", x(3, 6, dtype=t), i32(4)) for t in ("float32", "float64", "int32", "float16")),
    case("TopKV2", np.array([1, 3, 3, 0, 3], np.float32), i32(2)),
    case("TopKV2", x(2, 3, 5), i32(1)),
    case("TopKV2", np.array([1, 3, 3, 0, 3], np.int32), i32(4)),
    case("InTopK", x(4, 5), np.array([0, 4, 2, 7], np.int32), k=2),
    case("InTopKV2", x(4, 5), np.array([0, 4, 2, 1], np.int64), const(3, np.int64)),
    case("NthElement", x(3, 5), i32(2)),
    case("NthElement", x(3, 5), i32(1), reverse=True),
    *(
        case(op, x(2, 3, 4, 5, dtype=t), **near(t))
        for op in (
            "Relu",
            "Relu6",
            "Elu",
            "Selu",
            "LeakyRelu",
            "Softplus",
            "Softsign",
            "Sigmoid",
            "Softmax",
            "LogSoftmax",
            "Tanh",
        )
        for t in FLOATS
    ),
    case("LeakyRelu", x(3, 4), alpha=0.01),
    *(case(op, x(3, 4, low=-30, high=30)) for op in ("Softplus", "Sigmoid", "Softmax", "LogSoftmax", "Elu", "Selu")),
    case("Relu", x(3, dtype="int32")),
    case("Relu6", x(3, low=-2, high=9)),
    case("Softmax", x(2, 5)),
    case("Relu", x()),
]
_NCHW = {"data_format": "NCHW"}
CASES += [  # what random cases found
    *(
        case("MaxPoolWithArgmax", x(2, *size, 3), ksize=[1, *k, 1], strides=[1, *s, 1], padding="SAME")
        for size, k, s in (((7, 5), (3, 1), (3, 3)), ((7, 6), (3, 4), (3, 2)), ((5, 7), (4, 4), (1, 3)))
    ),
    *(
        case(
            "Conv3DBackpropInputV2",
            i32([1, *n, 2]),
            const(x(*k, 2, 3)),
            x(1, *m, 3),
            strides=[1, *s, 1],
            padding=p,
            unknown=False,
        )
        for n, k, m, s, p in (
            ((5, 4, 3), (2, 2, 2), (3, 2, 2), (2, 2, 2), "SAME"),
            ((6, 5, 4), (2, 3, 2), (2, 2, 3), (3, 2, 1), "VALID"),
            ((5, 5, 4), (3, 2, 3), (3, 5, 2), (2, 1, 2), "SAME"),
        )
    ),
    *(case("TopKV2", x(2, 5, dtype=t), i32(3), gradient=False) for t in ("uint16", "uint32")),
]
