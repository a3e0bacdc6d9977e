"""Cases of linear algebra."""

import numpy as np
from harness import case, const, i32, i64, x

LOOSE = {"forward": 2e-5, "grad": 1e-4}  # both frameworks' factorisations round alike no closer than this


def well(*shape, dtype="float32"):
    return (x(*shape, dtype=dtype) + 4 * np.eye(shape[-1])).astype(dtype)


def positive(*shape, dtype="float32"):
    values = x(*shape, dtype=dtype)
    return (values @ values.swapaxes(-1, -2) + 2 * np.eye(shape[-1])).astype(dtype)


def symmetric(*shape, dtype="float32"):
    values = x(*shape, dtype=dtype)
    return values + values.swapaxes(-1, -2)


CASES = [
    *(case("MatMul", x(2, 3, dtype=t), x(3, 4, dtype=t)) for t in ("float32", "float64", "float16", "int32")),
    case("MatMul", x(3, 2), x(3, 4), transpose_a=True),
    case("MatMul", x(2, 3), x(4, 3), transpose_b=True),
    case("MatMul", x(3, 2), x(4, 3), transpose_a=True, transpose_b=True),
    case("MatMul", x(2, 3), const(x(3, 4))),
    case("MatMul", x(2, 3), const(x(4, 3)), transpose_b=True),
    case("MatMul", x(3, 2), const(x(3, 4)), transpose_a=True),
    case("MatMul", const(x(5, 3)), x(3, 4)),
    case("MatMul", x(2, 3, dtype="float64"), const(x(3, 4, dtype="float64"))),
    case("MatMul", x(2, 3, dtype="int32"), const(x(3, 4, dtype="int32"))),
    *(case(op, x(2, 3, 4), x(2, 4, 5)) for op in ("BatchMatMul", "BatchMatMulV2")),
    case("BatchMatMulV2", x(2, 1, 3, 4), x(5, 4, 2)),
    case("BatchMatMulV2", x(2, 4, 3), x(2, 5, 4), adj_x=True, adj_y=True),
    case("BatchMatMulV2", x(2, 3, 4, dtype="float64"), const(x(4, 5, dtype="float64"))),
    case("BatchMatMulV3", x(2, 3, 4), x(2, 4, 5), Tout=np.float32),
    case("BatchMatMulV2", x(2, 4, 3, dtype="complex64"), x(2, 4, 5, dtype="complex64"), adj_x=True, gradient=False),
    case("SparseMatMul", x(2, 3), x(3, 4)),
    case("SparseMatMul", x(3, 2), x(4, 3), transpose_a=True, transpose_b=True),
    *(
        case("Einsum", [x(*a), x(*b)], equation=e)
        for e, a, b in (
            ("ij,jk->ik", (2, 3), (3, 4)),
            ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
            ("abc,cd->abd", (2, 3, 4), (4, 5)),
            ("abc,cde->abde", (2, 3, 4), (4, 5, 2)),
            ("bhqk,bkhd->bqhd", (2, 2, 3, 5), (2, 5, 2, 4)),
            ("...ij,...jk->...ik", (2, 2, 3, 4), (2, 2, 4, 5)),
            ("i,j->ij", (3,), (4,)),
            ("ij,ij->", (2, 3), (2, 3)),
            ("ijk,j->ik", (2, 3, 4), (3,)),
            ("ab,bc->ca", (2, 3), (3, 4)),
        )
    ),
    case("Einsum", [x(2, 3, 4)], equation="abc->ca"),
    case("Einsum", [x(2, 3)], equation="ab->"),
    case("Einsum", [x(2, 3)], equation="ab->ba"),
    *(case("MatrixBandPart", x(2, 4, 5), i64(a), i64(b)) for a, b in ((1, 0), (-1, 0), (0, -1), (2, 1))),
    case("MatrixBandPart", x(4, 4, dtype="int32"), i32(0), i32(1)),
    case("MatrixDiag", x(2, 3)),
    case("MatrixDiagV3", x(2, 3), i32(0), i32(-1), i32(-1), const(0.0, np.float32)),
    case("MatrixDiagV2", x(3), i32(0), i32(3), i32(3), const(0.0, np.float32), unknown=False),
    case("MatrixDiagPart", x(2, 3, 4)),
    case("MatrixDiagPartV3", x(2, 4, 3), i32(0), const(0.0, np.float32)),
    case("MatrixDiagPartV2", x(3, 3), i32(0), const(0.0, np.float32)),
    case("MatrixSetDiag", x(2, 3, 4), x(2, 3)),
    case("MatrixSetDiagV3", x(2, 4, 3), x(2, 3), i32(0)),
    case("MatrixSetDiagV2", x(3, 3), x(3), i32(0)),
    case("Diag", x(3)),
    case("Diag", x(2, 3)),
    case("DiagPart", x(3, 3)),
    case("DiagPart", x(2, 3, 2, 3)),
    case("Diag", x(3, dtype="int32")),
    *(case("MatrixInverse", well(2, 3, 3, dtype=t), adjoint=a) for t in ("float32", "float64") for a in (False, True)),
    *(
        case("MatrixDeterminant", well(2, 3, 3, dtype=t), **({} if t == "float64" else LOOSE))
        for t in ("float32", "float64")
    ),
    case("LogMatrixDeterminant", well(2, 3, 3), **LOOSE),
    *(case("Cholesky", positive(2, 3, 3, dtype=t), gradient=False) for t in ("float32", "float64")),
    case("MatrixSolve", well(2, 3, 3), x(2, 3, 2), **LOOSE),
    case("MatrixSolve", well(3, 3, dtype="float64"), x(3, 2, dtype="float64"), adjoint=True),
    *(
        case("MatrixTriangularSolve", well(2, 3, 3), x(2, 3, 2), lower=w, adjoint=a, **LOOSE)
        for w in (False, True)
        for a in (False, True)
    ),
    case("MatrixSolveLs", x(5, 3), x(5, 2), const(0.1, np.float64), forward=2e-5, grad=1e-3, unknown=False),
    case("SelfAdjointEigV2", symmetric(4, 4), outputs=(0,), **LOOSE),
    case("SelfAdjointEigV2", symmetric(2, 3, 3, dtype="float64"), outputs=(0,)),
    case("Svd", x(4, 3), outputs=(0,), **LOOSE),
    case("Svd", x(4, 3), compute_uv=False, outputs=(0,), **LOOSE),
    case("Qr", x(4, 3), gradient=False, **LOOSE),
]
_ALIGN = ("LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT")
CASES += [
    *(
        case("MatrixDiagPartV3", x(2, 4, 3), i32(k), const(0.5, np.float32), align=a)
        for k in ([-2, 1],)
        for a in _ALIGN
    ),
    *(case("MatrixDiagPartV3", x(3, 5), i32(k), const(0.0, np.float32)) for k in (2, -1, [1, 3], [-2, 0])),
    case("MatrixDiagPartV2", x(3, 5, dtype="int32"), i32([-1, 2]), const(7, np.int32)),
    *(
        case("MatrixDiagV3", x(2, 3, 4), i32([-1, 1]), i32(r), i32(c), const(0.5, np.float32), align=a, unknown=False)
        for r, c in ((-1, -1), (4, 5))
        for a in _ALIGN[:2]
    ),
    *(
        case("MatrixDiagV3", x(2, 3), i32(k), i32(r), i32(c), const(0.0, np.float32), unknown=False)
        for k, r, c in ((1, -1, -1), (-2, -1, -1), (-1, 5, 3), (0, 5, 3))
    ),
    case("MatrixSetDiagV3", x(2, 4, 5), x(2, 3), i32(2)),
    *(case("MatrixSetDiagV3", x(2, 4, 5), x(2, 3, 4), i32([-1, 1]), align=a, unknown=False) for a in _ALIGN[:2]),
    # TensorFlow aligns its gradient of V2 as V3's
    case("MatrixSetDiagV2", x(4, 4), x(2, 4), i32([0, 1]), unknown=False, gradient=False),
]
