"""Losses, as functions and as modules."""

from __future__ import annotations

from tf2ms.torch.table import forward, row

# The same arguments under another name.
row(
    "F.binary_cross_entropy",
    "mint.nn.functional.binary_cross_entropy",
    "F.binary_cross_entropy(probabilities, targets)",
    "F.binary_cross_entropy(probabilities, targets, reduction='sum')",
)
row(
    "F.binary_cross_entropy_with_logits",
    "mint.nn.functional.binary_cross_entropy_with_logits",
    "F.binary_cross_entropy_with_logits(rows, targets)",
    "F.binary_cross_entropy_with_logits(rows, targets, reduction='none')",
    forward("F.binary_cross_entropy_with_logits(rows, targets, pos_weight=v.abs())"),
)
row("F.mse_loss", "ops.mse_loss", "F.mse_loss(x, y)", "F.mse_loss(x, y, reduction='sum')")
row("F.l1_loss", "ops.l1_loss", "F.l1_loss(x, y)", "F.l1_loss(x, y, reduction='none')")
row(
    "F.smooth_l1_loss",
    "mint.nn.functional.smooth_l1_loss",
    "F.smooth_l1_loss(x, y)",
    "F.smooth_l1_loss(x, y, beta=0.5)",
)
row("F.huber_loss", "ops.huber_loss", "F.huber_loss(x, y)", "F.huber_loss(x, y, delta=0.5)")
row("F.margin_ranking_loss", "ops.margin_ranking_loss", "F.margin_ranking_loss(rows, rows2, targets * 2 - 1)")
row("F.cosine_embedding_loss", "ops.cosine_embedding_loss", "F.cosine_embedding_loss(rows, rows2, ones5)")
row("F.multilabel_soft_margin_loss", "ops.multilabel_soft_margin_loss", "F.multilabel_soft_margin_loss(rows, targets)")
row("F.multi_margin_loss", "ops.multi_margin_loss", "F.multi_margin_loss(rows, classes)")
row("F.gaussian_nll_loss", "ops.gaussian_nll_loss", "F.gaussian_nll_loss(rows, rows2, probabilities)")

# Composed, or with other argument names.
row(
    "F.cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, "
    "reduce=None, reduction='mean', label_smoothing=0.0)",
    "ops.cross_entropy(input, target, weight=weight, ignore_index=ignore_index, "
    "reduction=reduction, label_smoothing=label_smoothing)",
    "F.cross_entropy(rows, classes)",
    "F.cross_entropy(rows, classes, reduction='sum')",
    "F.cross_entropy(rows, classes, label_smoothing=0.1)",
    forward("F.cross_entropy(rows, classes, weight=v.abs(), ignore_index=1)"),
    "F.cross_entropy(image, image[:, 0].abs().long())",
    "F.cross_entropy(rows, probabilities)",
)
row(
    "F.nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')",
    "ops.nll_loss(input, target, weight=weight, ignore_index=ignore_index, reduction=reduction)",
    "F.nll_loss(F.log_softmax(rows, 1), classes)",
    "F.nll_loss(F.log_softmax(rows, 1), classes, reduction='sum')",
)
row(
    "F.kl_div(input, target, size_average=None, reduce=None, reduction='mean', log_target=False)",
    "helper.kl_div(input, target, reduction=reduction, log_target=log_target)",
    "F.kl_div(F.log_softmax(rows, 1), probabilities, reduction='batchmean')",
    "F.kl_div(F.log_softmax(rows, 1), probabilities, reduction='sum')",
    "F.kl_div(F.log_softmax(rows, 1), probabilities)",
)
row(
    "F.soft_margin_loss(input, target)",
    "mint.log1p(mint.exp(-target * input)).mean()",
    "F.soft_margin_loss(rows, torch.sign(rows2).detach())",
)
row(
    "F.hinge_embedding_loss(input, target, margin=1.0, reduction='mean')",
    "helper.hinge_embedding_loss(input, target, margin=margin, reduction=reduction)",
    "F.hinge_embedding_loss(rows, torch.sign(rows2))",
)
row(
    "F.poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, "
    "eps=1e-8, reduce=None, reduction='mean')",
    "helper.poisson_nll_loss(input, target, log_input=log_input, eps=eps, reduction=reduction)",
    "F.poisson_nll_loss(rows, targets)",
)

# Modules
_REDUCTION = "size_average=None, reduce=None, reduction='mean'"
_LABELS = "(input, target) -> self(input, target.int())"
row(
    "nn.CrossEntropyLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, "
    "reduction='mean', label_smoothing=0.0)",
    "nn.CrossEntropyLoss(weight=weight, ignore_index=ignore_index, reduction=reduction, "
    "label_smoothing=label_smoothing)",
    "nn.CrossEntropyLoss()(rows, classes)",
    "nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=1)(rows, classes)",
    "nn.CrossEntropyLoss(reduction='sum')(rows, classes)",
    called=_LABELS,
    note="labels are int32; class probabilities are passed without the cast",
)
row(
    "nn.NLLLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')",
    "nn.NLLLoss(weight=weight, ignore_index=ignore_index, reduction=reduction)",
    "nn.NLLLoss()(rows, classes)",
    called=_LABELS,
)
row(
    f"nn.MSELoss({_REDUCTION})",
    "nn.MSELoss(reduction=reduction)",
    "nn.MSELoss()(x, y)",
    "nn.MSELoss(reduction='sum')(x, y)",
)
row(
    f"nn.L1Loss({_REDUCTION})",
    "nn.L1Loss(reduction=reduction)",
    "nn.L1Loss()(x, y)",
    "nn.L1Loss(reduction='none')(x, y)",
)
row(
    "nn.SmoothL1Loss(size_average=None, reduce=None, reduction='mean', beta=1.0)",
    "nn.SmoothL1Loss(beta=beta, reduction=reduction)",
    "nn.SmoothL1Loss()(x, y)",
    "nn.SmoothL1Loss(beta=0.5, reduction='sum')(x, y)",
    changed="reduction",
)
row(
    "nn.HuberLoss(reduction='mean', delta=1.0)",
    "nn.HuberLoss(reduction=reduction, delta=delta)",
    "nn.HuberLoss()(x, y)",
    "nn.HuberLoss(delta=0.5)(x, y)",
)
row(
    f"nn.BCELoss(weight=None, {_REDUCTION})",
    "nn.BCELoss(weight=weight, reduction=reduction)",
    "nn.BCELoss()(probabilities, targets)",
    "nn.BCELoss(reduction='sum')(probabilities, targets)",
)
row(
    f"nn.BCEWithLogitsLoss(weight=None, {_REDUCTION}, pos_weight=None)",
    "nn.BCEWithLogitsLoss(reduction=reduction, weight=weight, pos_weight=pos_weight)",
    "nn.BCEWithLogitsLoss()(rows, targets)",
    "nn.BCEWithLogitsLoss(reduction='sum')(rows, targets)",
)
row(
    "nn.KLDivLoss(size_average=None, reduce=None, reduction='mean', log_target=False)",
    "helper.KLDivLoss(reduction=reduction, log_target=log_target)",
    "nn.KLDivLoss(reduction='batchmean')(rows, probabilities)",
    "nn.KLDivLoss(reduction='sum')(rows, probabilities)",
)
row(
    "nn.HingeEmbeddingLoss(margin=1.0, size_average=None, reduce=None, reduction='mean')",
    "helper.HingeEmbeddingLoss(margin=margin, reduction=reduction)",
    "nn.HingeEmbeddingLoss()(rows, torch.sign(rows2))",
)
row(
    "nn.MarginRankingLoss(margin=0.0, size_average=None, reduce=None, reduction='mean')",
    "nn.MarginRankingLoss(margin=margin, reduction=reduction)",
    "nn.MarginRankingLoss(0.1)(ones5 * 0.3, ones5, ones5)",
)
row(
    "nn.CosineEmbeddingLoss(margin=0.0, size_average=None, reduce=None, reduction='mean')",
    "nn.CosineEmbeddingLoss(margin=margin, reduction=reduction)",
    forward("nn.CosineEmbeddingLoss()(rows, rows2, ones5)"),
)
row(
    "nn.TripletMarginLoss(margin=1.0, p=2.0, eps=1e-6)",
    "helper.TripletMarginLoss(margin=margin, p=p, eps=eps)",
    "nn.TripletMarginLoss()(rows, rows2, rows * 0.5)",
)
row(
    "nn.MultiLabelSoftMarginLoss(weight=None, size_average=None, reduce=None, reduction='mean')",
    "nn.MultiLabelSoftMarginLoss(weight=weight, reduction=reduction)",
    "nn.MultiLabelSoftMarginLoss()(rows, targets)",
)
row(
    "nn.MultiMarginLoss(p=1, margin=1.0, weight=None)",
    "nn.MultiMarginLoss(p=p, margin=margin, weight=weight)",
    "nn.MultiMarginLoss()(rows, classes)",
)
row(
    "nn.PoissonNLLLoss(log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction='mean')",
    "nn.PoissonNLLLoss(log_input=log_input, full=full, eps=eps, reduction=reduction)",
    "nn.PoissonNLLLoss()(rows, targets)",
)
row(
    "nn.GaussianNLLLoss(full=False, eps=1e-6, reduction='mean')",
    "nn.GaussianNLLLoss(full=full, eps=eps, reduction=reduction)",
    "nn.GaussianNLLLoss()(rows, rows2, probabilities)",
)
row(
    "F.triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6)",
    "helper.triplet_margin_loss(anchor, positive, negative, margin=margin, p=p, eps=eps)",
    "F.triplet_margin_loss(rows, rows2, rows * 0.5)",
)
row(
    "nn.SoftMarginLoss(size_average=None, reduce=None, reduction='mean')",
    "helper.SoftMarginLoss(reduction=reduction)",
    "nn.SoftMarginLoss()(rows, torch.sign(rows2).detach())",
)
