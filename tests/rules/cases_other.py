"""Cases of losses, images, transforms and quantisation."""

import numpy as np
from harness import case, const, i32, x


def unit(*shape, dtype="float32"):
    return x(*shape, dtype=dtype, low=0, high=1)


def rows(*shape):
    values = unit(*shape)
    return values / values.sum(-1, keepdims=True)


BOXES = np.array(
    [[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [1, 11.1, 0, 10.1], [0, 100, 1, 101]],
    np.float32,
)
SCORES = np.array([0.9, 0.75, 0.6, 0.95, 0.5, 0.3], np.float32)
_FLAGS = [{}, {"align_corners": True}, {"half_pixel_centers": True}]
_SIZES = [(7, 9), (3, 4), (5, 6), (1, 1), (10, 12)]
_INDEX, _VALUES = np.array([[0, 0], [0, 1], [1, 0]], np.int64), np.array([1, 2, 1], np.int32)
CASES = [
    *(
        case(
            "SoftmaxCrossEntropyWithLogits",
            x(4, 5, dtype=t),
            const(rows(4, 5).astype(t)),
            outputs=o,
            gradient=o == (0,),
            **({"forward": 2e-6, "grad": 1e-5} if t == "float64" else {}),
        )
        for t in ("float32", "float64", "float16")
        for o in ((0,), (0, 1))
    ),
    case("SoftmaxCrossEntropyWithLogits", x(4, 5), rows(4, 5), outputs=(0,), gradient=False),  # labels that are fed
    *(
        case("SparseSoftmaxCrossEntropyWithLogits", x(4, 5), np.array([0, 4, 2, 1], t), outputs=(0,))
        for t in ("int32", "int64")
    ),
    case(
        "SparseSoftmaxCrossEntropyWithLogits", x(4, 5), np.array([0, 4, 2, 1], np.int64), outputs=(0, 1), gradient=False
    ),
    *(
        case(op, x(5, 2, 4), _INDEX, _VALUES, i32(5, 4), outputs=(0,), **k)
        for op in ("CTCLoss",)
        for k in ({}, {"ctc_merge_repeated": False})
    ),
    case("CTCGreedyDecoder", x(5, 2, 4), i32(5, 4), merge_repeated=True, outputs=(0, 1, 2)),
    case("CTCGreedyDecoder", x(5, 2, 4), i32(5, 4)),
    *(case("ResizeBilinear", x(2, 5, 6, 3), i32(s), **k) for s in _SIZES for k in _FLAGS),
    case("ResizeBilinear", x(1, 4, 4, 3, dtype="uint8"), i32(6, 6)),
    *(case("ResizeNearestNeighbor", x(2, 5, 6, 3), i32(s), **k) for s in _SIZES for k in _FLAGS),
    case("ResizeNearestNeighbor", x(1, 4, 4, 3, dtype="uint8"), i32(6, 6)),
    case("ResizeNearestNeighbor", x(1, 4, 4, 3, dtype="int32"), i32(2, 3)),
    *(case("ResizeBicubic", x(2, 5, 6, 3), i32(s), forward=1e-5, **k) for s in _SIZES for k in _FLAGS),
    *(case("ResizeArea", x(2, 5, 6, 3), i32(s), **k) for s in _SIZES[:4] for k in _FLAGS[:2]),
    case(
        "CropAndResize",
        unit(2, 6, 7, 3),
        np.array([[0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9]], np.float32),
        i32(0, 1),
        i32(4, 3),
        gradient=False,
    ),
    case(
        "CropAndResize",
        unit(2, 6, 7, 3),
        const([[0, 0, 1, 1], [-0.3, 0.2, 1.2, 0.9]], np.float32),
        i32(0, 1),
        i32(4, 3),
        extrapolation_value=2.0,
    ),
    case(
        "CropAndResize",
        unit(1, 6, 7, 3),
        const([[0.9, 0.8, 0.1, 0.2]], np.float32),
        i32([0]),
        i32(4, 3),
        method="nearest",
        gradient=False,
    ),
    case("AdjustContrastv2", unit(2, 4, 5, 3), const(1.7, np.float32)),
    case("AdjustHue", unit(4, 5, 3), const(0.3, np.float32)),
    case("AdjustSaturation", unit(4, 5, 3), const(0.5, np.float32)),
    case("AdjustSaturation", unit(2, 4, 5, 3), const(2.5, np.float32)),
    case("RGBToHSV", unit(2, 4, 3)),
    case("HSVToRGB", unit(2, 4, 3)),
    case("RGBToHSV", np.array([[0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 0], [1, 1, 0]], np.float32), gradient=False),
    case("RGBToHSV", unit(2, 4, 3, dtype="float64"), forward=1e-7),
    case("HSVToRGB", unit(2, 4, 3, dtype="float64")),
    case("NonMaxSuppression", BOXES, SCORES, i32(3)),
    case("NonMaxSuppressionV2", BOXES, SCORES, i32(3), const(0.5, np.float32)),
    case("NonMaxSuppressionV3", BOXES, SCORES, np.int32(5), const(0.5, np.float32), const(0.4, np.float32)),
    case(
        "NonMaxSuppressionV4",
        BOXES,
        SCORES,
        i32(6),
        const(0.5, np.float32),
        const(0.4, np.float32),
        pad_to_max_output_size=True,
    ),
    case(
        "NonMaxSuppressionV5",
        BOXES,
        SCORES,
        i32(6),
        const(0.5, np.float32),
        const(0.4, np.float32),
        const(0.0, np.float32),
    ),
    *(
        case(
            "ImageProjectiveTransformV3",
            unit(2, 6, 7, 3),
            const([[0.9, 0.2, 0.3, -0.1, 1.1, 0.2, 0.01, 0.02]], np.float32),
            i32(6, 7),
            const(0.5, np.float32),
            interpolation=n,
            fill_mode=m,
            gradient=False,
        )
        for n in ("NEAREST", "BILINEAR")
        for m in ("CONSTANT", "NEAREST")
    ),
    *(
        case(op, x(2, 3, 4, 5, dtype="complex64"), gradient=False)
        for op in ("FFT", "IFFT", "FFT2D", "IFFT2D", "FFT3D", "IFFT3D")
    ),
    case("FFT", x(3, 8, dtype="complex128"), gradient=False),
    *(case("RFFT", x(3, 8), i32([n]), gradient=n == 8) for n in (8, 6)),
    *(case("IRFFT", x(3, 5, dtype="complex64"), i32([n]), gradient=False) for n in (8, 7, 6)),
    case("RFFT2D", x(3, 4, 6), i32(4, 6), gradient=False),
    case("IRFFT2D", x(3, 4, 4, dtype="complex64"), i32(4, 6), gradient=False),
    case("RFFT", x(3, 8, dtype="float64"), i32([8]), Tcomplex=np.complex128, gradient=False),
    case("FakeQuantWithMinMaxArgs", x(4, 5, low=-8, high=8)),
    case("FakeQuantWithMinMaxArgs", x(4, 5), min=-1.0, max=1.5, num_bits=4, narrow_range=True),
    case("FakeQuantWithMinMaxVars", x(4, 5), np.float32(-1), np.float32(1.2)),
    case(
        "FakeQuantWithMinMaxVarsPerChannel",
        x(4, 3),
        np.array([-1, -0.5, -2], np.float32),
        np.array([1, 1.5, 0.7], np.float32),
    ),
    case("QuantizeAndDequantizeV2", x(4, 5), const(-1.0, np.float32), const(1.0, np.float32), range_given=True),
    case("QuantizeAndDequantizeV2", x(4, 5), const(0.0, np.float32), const(0.0, np.float32)),
    case(
        "QuantizeAndDequantizeV4",
        x(4, 5),
        const(-1.0, np.float32),
        const(1.5, np.float32),
        range_given=True,
        narrow_range=True,
        num_bits=4,
    ),
    case("QuantizeAndDequantizeV3", x(4, 5), const(-1.0, np.float32), const(1.5, np.float32), i32(6), range_given=True),
    case(
        "QuantizeAndDequantizeV2",
        unit(4, 5),
        const(0.0, np.float32),
        const(0.8, np.float32),
        range_given=True,
        signed_input=False,
        round_mode="HALF_UP",
    ),
]
_SOFT = (i32(4), const(0.6, np.float32), const(0.1, np.float32), const(0.5, np.float32))
CASES += [
    *(
        case("NonMaxSuppressionV5", const(BOXES), SCORES, i32(n), *_SOFT[1:], pad_to_max_output_size=p, gradient=False)
        for n, p in ((4, False), (6, True))
    ),
    *(
        case(
            "CombinedNonMaxSuppression",
            unit(2, 6, q, 4),
            unit(2, 6, 3),
            i32(2),
            i32(4),
            const(0.3, np.float32),
            const(0.2, np.float32),
            pad_per_class=p,
            clip_boxes=c,
            gradient=False,
        )
        for q, p, c in ((1, False, True), (3, True, False))
    ),
    case(
        "QuantizeAndDequantizeV2",
        x(4, 3),
        const([0.0] * 4, np.float32),
        const([0.0] * 4, np.float32),
        range_given=False,
        axis=0,
    ),
    *(
        case("Bitcast", x(2, 4, dtype=s), type=t, gradient=False)
        for s, t in (("float32", np.int32), ("int32", np.float32), ("int32", np.uint8), ("float64", np.int64))
    ),
    case("Bitcast", x(2, 4, dtype="uint8"), type=np.int32),
    case("RaggedRange", np.array([0, 5, 3], np.int32), np.array([3, 5, 10], np.int32), np.array([1, 1, 4], np.int32)),
    case("RaggedRange", np.int32(1), np.array([3, 4], np.int32), np.int32(1), Tsplits=np.int32),
    *(
        case(
            "RaggedTensorToTensor",
            const(shape, np.int64),
            x(6, *inner),
            const(9.5, np.float32),
            [np.array([0, 2, 2, 5, 6], np.int64)],
            row_partition_types=["ROW_SPLITS"],
        )
        for shape, inner in (([-1, -1], ()), ([-1, 2], ()), ([-1, -1, 3], (3,)))
    ),
]
