"""What layers, functions, arguments and words of other frameworks and languages are called here."""

from __future__ import annotations


def key_of(word: str) -> str:
    """A name as it is compared: without case, underscores and hyphens."""
    return word.casefold().replace("_", "").replace("-", "")


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """`Linear: Dense, FullyConnected` on a line each; a word on several lines has several meanings, in order."""
    table: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        name, _, words = line.partition(": ")
        for word in words.split(", "):
            table[key_of(word)] = (*table.get(key_of(word), ()), name)
    return table


SYNONYMS = _table(
    """
Linear: Dense, FullyConnected, FullyConnectedLayer, FC, Affine, Gemm, InnerProduct, LinearLayer, DenseLayer
Bilinear: BilinearLayer, BilinearDense
Conv1d: Convolution1D, Conv1DLayer, TemporalConvolution
Conv2d: Conv, Convolution, Convolution2D, Conv2DLayer, SpatialConvolution, DepthwiseConv2D, SeparableConv2D
Conv3d: Convolution3D, VolumetricConvolution
ConvTranspose2d: Conv2DTranspose, Deconv, Deconv2d, Deconvolution, Deconvolution2D, TransposedConv2d
MaxPool1d: MaxPooling1D
MaxPool2d: MaxPooling2D, MaxPool, MaxPooling, Pool, Pooling, Pool2d
AvgPool2d: AveragePooling2D, AveragePool, AveragePooling, AveragePool2d, AvgPool, MeanPool2d, MeanPooling
AdaptiveAvgPool2d: GlobalAveragePooling2D, GlobalAveragePool, GlobalAvgPool2d, GlobalAvgPool, GAP
AdaptiveMaxPool2d: GlobalMaxPooling2D, GlobalMaxPool
LPPool2d: LpPool, PowerPool, L2Pool, LPPooling
FractionalMaxPool2d: FractionalMaxPool, FractionalPool, FractionalPooling
MaxUnpool2d: MaxUnpool, MaxUnpooling2D, Unpool, Unpooling, Unpool2d
Unfold: Im2Col, ExtractPatches, ExtractImagePatches, Patches
Fold: Col2Im
Upsample: UpSampling2D, Resize, ResizeImage, Interpolate, Upsampling
CosineSimilarity: Cosine, CosineDistance
PairwiseDistance: EuclideanDistance, L2Distance
BatchNorm2d: BatchNorm, BatchNormalization, BN, BN2d, SpatialBatchNorm, SyncBatchNorm
BatchNorm1d: BatchNorm, BatchNormalization, BN, BN1d
LayerNorm: LayerNormalization, LN, LNorm
GroupNorm: GroupNormalization, GN
InstanceNorm2d: InstanceNorm, InstanceNormalization
RMSNorm: RMSNormalization, RMSLayerNorm, RootMeanSquareNorm, T5LayerNorm
LocalResponseNorm: LRN, CrossMapLRN2d
Dropout: Drop, SpatialDropout, DropoutLayer
Dropout2d: SpatialDropout2D
FeatureAlphaDropout: AlphaDropout2d
Embedding: Embed, Lookup, LookupTable, TokenEmbedding
EmbeddingBag: BagOfEmbeddings, EmbeddingSum, EmbeddingMean, SparseLengthsSum
RNN: SimpleRNN, ElmanRNN, Recurrent, VanillaRNN
LSTM: CuDNNLSTM, LongShortTermMemory
GRU: CuDNNGRU, GatedRecurrentUnit
MultiheadAttention: MHA, Attention, SelfAttention, MultiHeadSelfAttention, MHSA, multi_head_attention_forward
TransformerEncoderLayer: EncoderLayer, TransformerBlock, TransformerLayer
TransformerDecoderLayer: DecoderLayer
RNNCell: SimpleRNNCell, ElmanCell
AdaptiveLogSoftmaxWithLoss: AdaptiveSoftmax, AdaptiveLogSoftmax
Flatten: FlattenLayer, Reshape2d
Unflatten: Reshape, View
Identity: Linear0, NoOp, Passthrough, Pass, Id
ReLU: Rectifier, RectifiedLinear, Rectify
LeakyReLU: LReLU, LeakyRectify
PReLU: ParametricReLU
RReLU: RandomizedLeakyReLU, RandomReLU
ELU: ExponentialLinearUnit
GELU: GaussianErrorLinearUnit, GeluActivation, QuickGELU, NewGELU
SiLU: Swish, SwishActivation
Sigmoid: Logistic, Sigm
Tanh: HyperbolicTangent
Hardswish: HSwish
Step: Heaviside, Threshold, Binary, BinaryStep, Sign
Softmax: SoftmaxLayer
LogSoftmax: LogSoftmaxLayer
relu: rectify, rectifier
grid_sample: grid_sampler, spatial_transformer, remap, warp
affine_grid: affine_grid_generator
unfold: im2col, extract_patches, extract_image_patches
fold: col2im
silu: swish
sigmoid: logistic, expit
hardswish: hswish
cat: concat, concatenate, join
stack: pack
vstack: row_stack
chunk: unpack
unbind: unstack
tensor_split: array_split
reshape: view, resize
reshape_as: view_as
flatten: ravel
transpose: mT, swap_dims
swapaxes: swapdims
permute: transpose_axes
movedim: moveaxis
unsqueeze: expand_dims, newaxis
expand: broadcast_to, broadcast
expand_as: broadcast_like
matmul: batch_matmul, chain_matmul
addmm: gemm
dot: vdot, inner_product
mean: average, avg, reduce_mean
sum: reduce_sum, total
amax: max, maximum, reduce_max, maxval
amin: min, minimum, reduce_min, minval
clamp: clip, minmax, bound
abs: absolute, fabs
add: plus
sub: subtract, minus
mul: multiply, times
div: divide, true_divide
floor_divide: floordiv, floor_div
remainder: mod, modulo
neg: negative
reciprocal: recip
rsqrt: inverse_sqrt, inv_sqrt
asin: arcsin
acos: arccos
atan: arctan
atan2: arctan2
asinh: arcsinh
acosh: arccosh
atanh: arctanh
sign: sgn, signum
trunc: fix, truncate
round: rint, around
eq: equal, equals
ne: not_equal
lt: less
le: less_equal
gt: greater
ge: greater_equal
bitwise_and: bitand
bitwise_or: bitor
bitwise_xor: bitxor
bitwise_not: invert, bitwise_invert
bitwise_left_shift: left_shift, shl, lshift
bitwise_right_shift: right_shift, shr, rshift
lgamma: gammaln, loggamma
digamma: psi
var: variance, reduce_variance
std: stddev, standard_deviation, reduce_std
prod: product, reduce_prod
any: reduce_any
all: reduce_all
logsumexp: reduce_logsumexp
trapezoid: trapz
cumulative_trapezoid: cumtrapz
bucketize: digitize
clone: copy
where: cond, ifelse, switch
scatter: scatter_elements, put_along_axis
scatter_reduce: index_reduce, segment_reduce, segment_sum, scatter_mean, scatter_max
index_put: scatter_nd, put
take_along_dim: take_along_axis, gather_elements
diagonal: diag_part
diag_embed: matrix_diag, set_diag
kron: kronecker
inv: inverse, matrix_inverse
det: determinant
solve: linsolve
cov: covariance
corrcoef: correlation, pearson
randint: random_integers
randperm: shuffle, permutation
normal: gaussian, random_normal
multinomial: categorical, choice
hann_window: hann, hanning
hamming_window: hamming
blackman_window: blackman
bartlett_window: bartlett
kaiser_window: kaiser
pow: power
log: ln
arange: range, iota
full: fill, constant
zeros: zero, empty, new_zeros
zeros_like: empty_like
ones: new_ones
tril: lower_triangular, causal_mask
triu: upper_triangular
masked_fill: mask_fill
scaled_dot_product_attention: sdpa, attention, flash_attention, dot_product_attention
rearrange: einops
cross_entropy: CrossEntropyLoss, CE, xent, categorical_crossentropy
cross_entropy: sparse_categorical_crossentropy, softmax_cross_entropy, CategoricalCrossentropy, cross_entropy_loss
cross_entropy: LinearCrossEntropyLoss, linear_cross_entropy
mse_loss: mse, mean_squared_error, l2_loss, l2, squared_error
l1_loss: l1, mae, mae_loss, mean_absolute_error, absolute_error
binary_cross_entropy: bce, BCELoss, log_loss
binary_cross_entropy_with_logits: BCEWithLogitsLoss, bce_with_logits, sigmoid_cross_entropy, bce_logits
nll_loss: nll, negative_log_likelihood
huber_loss: huber
smooth_l1_loss: smooth_l1
kl_div: kld, kl_divergence, kullback_leibler_divergence
ctc_loss: ctc
triplet_margin_loss: triplet, triplet_loss
poisson_nll_loss: poisson
gaussian_nll_loss: gaussian_nll
SGD: GradientDescent, Momentum, StochasticGradientDescent, MomentumSGD, GradientDescentOptimizer, MomentumOptimizer
Adam: AdamOptimizer
AdamW: AdamWeightDecay, AdamWOptimizer
Adamax: AdamaxOptimizer
NAdam: NesterovAdam
RAdam: RectifiedAdam, RAdamOptimizer
SparseAdam: LazyAdam
RMSprop: RMSPropOptimizer
Adagrad: AdagradOptimizer
Adadelta: AdadeltaOptimizer
ASGD: AveragedSGD
Rprop: ResilientPropagation, RPROPOptimizer
LBFGS: LBFGSB, L_BFGS_B, BFGS, QuasiNewton
accuracy: acc, categorical_accuracy, binary_accuracy, accuracy_score, multiclass_accuracy, sparse_categorical_accuracy
accuracy: top_k_accuracy, top_k_accuracy_score, top_k_categorical_accuracy, sparse_top_k_categorical_accuracy
accuracy: top1, top5, multilabel_accuracy
f1_score: f1, f_score, f_measure, multiclass_f1_score, binary_f1_score, multilabel_f1_score
fbeta_score: fbeta, f_beta, multiclass_fbeta_score
precision: precision_score, ppv, positive_predictive_value, multiclass_precision, binary_precision
recall: recall_score, sensitivity, tpr, true_positive_rate, hit_rate, multiclass_recall, binary_recall
specificity: tnr, true_negative_rate, selectivity
negative_predictive_value: npv
auroc: auc, roc_auc, roc_auc_score, auc_roc, multiclass_auroc, binary_auroc
average_precision: average_precision_score, ap, pr_auc, auc_pr, auprc, mean_average_precision
jaccard_index: iou, miou, jaccard, jaccard_score, intersection_over_union
dice_score: dice, dice_coefficient, dice_coef
cohen_kappa: kappa, cohen_kappa_score, quadratic_weighted_kappa
matthews_corrcoef: mcc, matthews_correlation, phi_coefficient
hamming_distance: hamming, hamming_loss, zero_one_loss, error_rate
exact_match: subset_accuracy, exact_match_ratio
calibration_error: ece, expected_calibration_error
eer: equal_error_rate
mean_squared_error: mse, rmse, root_mean_squared_error
mean_absolute_error: mae
mean_absolute_percentage_error: mape
symmetric_mean_absolute_percentage_error: smape
weighted_mean_absolute_percentage_error: wmape
mean_squared_log_error: msle, rmsle, mean_squared_logarithmic_error
r2_score: r2, r_squared, coefficient_of_determination
explained_variance: explained_variance_score
pearson_corrcoef: pearson, pearsonr, pearson_correlation
spearman_corrcoef: spearman, spearmanr, spearman_correlation
kendall_rank_corrcoef: kendall, kendalltau, kendall_tau
concordance_corrcoef: ccc, concordance_correlation
peak_signal_noise_ratio: psnr
structural_similarity_index_measure: ssim, structural_similarity
multiscale_structural_similarity_index_measure: ms_ssim, multiscale_ssim
spectral_angle_mapper: sam
error_relative_global_dimensionless_synthesis: ergas
universal_image_quality_index: uqi
signal_noise_ratio: snr
scale_invariant_signal_noise_ratio: si_snr
scale_invariant_signal_distortion_ratio: si_sdr, sdr
perplexity: ppl
adjusted_rand_score: ari, adjusted_rand_index
normalized_mutual_info_score: nmi
out_channels: filters, num_filters, channels, n_filters, num_output, features, channels_out, out_planes, out_features
out_features: units, output_size, output_dim, out_dim, n_out, num_outputs, hidden, features, size, out_channels
in_channels: channels_in, input_channels, in_planes, in_features
in_features: input_dim, input_size, in_dim, n_in, in_channels
hidden_size: units, hidden_units, hidden_dim, num_hidden, n_hidden, num_units, out_features
input_size: in_features, input_dim
num_layers: layers, depth, n_layers
num_heads: heads, n_heads, nhead, num_attention_heads
embed_dim: d_model, model_dim, dim, hidden_dim, width
num_embeddings: vocab_size, vocab, input_dim, num_tokens, n_vocab
embedding_dim: embed_dim, embed_size, output_dim, dim, width
kernel_size: kernel, pool_size, filter_size, ksize, kernel_shape, window, window_size, k
stride: strides, step, subsample, downsample
padding: pad, pads, border_mode
dilation: dilation_rate, dilations, dilate
groups: group, num_groups, n_groups, cardinality
return_indices: with_indices, return_mask, indices
output_size: target_size, target_output_size
num_groups: groups, group
bias: use_bias, with_bias, bias_attr, has_bias, no_bias
p: rate, dropout, drop, prob, probability, drop_rate, dropout_rate, ratio, keep_prob, ord, norm
ord: p, norm
correction: ddof
diagonal: offset, k
offset: diagonal, k
src: source, updates, values
index: indices
descending: reverse
num_classes: depth, n_classes
num_samples: size, n
interpolation: method
reduction: reduce, size_average
dropout: p, rate, drop, dropout_rate
negative_slope: alpha, slope, leak, leakiness
alpha: slope, negative_slope
nonlinearity: activation, act, activation_function
act: activation
eps: epsilon, eps_value
momentum: decay, mom
affine: scale, center, elementwise_affine, learnable
elementwise_affine: affine, scale, center
normalized_shape: shape, axis, features
dim: axis, axes, dims, dimension, dimensions
dims: dim, axes, axis, perm, permutation, order
keepdim: keepdims, keepdimension
start_dim: start_axis, start, begin
end_dim: end_axis, end, stop
bidirectional: bidir, bi, bidirect
batch_first: time_major
min: low, lower, a_min, min_value
max: high, upper, a_max, max_value
is_causal: causal
attn_mask: mask, attention_mask
lr: learning_rate, rate, step_size, eta, alpha
betas: beta, beta1, beta2
weight_decay: decay, l2, wd, l2_penalty, regularization, weight_decay_rate
alpha: rho, decay
rho: alpha, decay_rate
lambd: lambda
history_size: num_corrections, memory_size
max_iter: max_iterations
line_search_fn: line_search
loss: criterion, objective, loss_fn, loss_function, cost
optimizer: optim, optimiser, solver, opt
metrics: metric, measures, evaluation
epochs: epoch, num_epochs, max_epochs, n_epochs, nb_epoch, iterations
steps: max_steps, num_steps, iterations, iters, max_iters
batch_size: batch, bs, minibatch, mini_batch_size
data: dataset, train_data, input_data
seed: random_seed, random_state, rng
schedule: scheduler, lr_scheduler, lr_schedule
accumulate: gradient_accumulation_steps, gradient_accumulation, accumulate_grad_batches, accumulation_steps, grad_accum
workers: num_workers, n_workers, dataloader_workers
fold: kfold, k_folds, n_folds, n_splits, num_folds, cross_validation, cv
clip_grad_norm: clipnorm, grad_clip, gradient_clip, clip_grad, max_grad_norm, clip
weights: pretrained, init_from, load_from
precision: amp, mixed_precision, autocast, GradScaler
16-mixed: fp16, float16, f16, half, amp, mixed, 16, 16-true
bf16-mixed: bf16, bfloat16, bf16-true
true: yes, on
false: no, off
none: null, nil, undefined
and: &&
or: ||
not: !
inf: infinity, math.inf, np.inf
training: is_training, train_mode
float: float32, f32, fp32, single, real
float32: f32, fp32, single
float16: f16, fp16
bfloat16: bf16
float64: f64, fp64
int: int64, i64, integer
int64: i64, integer
int32: i32
int8: i8
uint8: u8, byte
bool: boolean
block: module, class, layer, def, function, func, fn, component
model: network, net, nn, architecture
output: return, out, result, outputs
input: in, inputs, arg, argument
param: parameter, weight, variable
buffer: constant, const, register_buffer
else: elif, elseif, otherwise
for: foreach, loop, repeat, while
import: include, require, use, using
train: fit, training, learn
run: train, fit, execute, start
"""
)
"""Names in other frameworks and languages, by key: what each is called here, the likeliest first."""
