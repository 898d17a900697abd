/// \file
/// What a kernel exports to be judged by `apb verify --plugin LIB.so`: one C function. It is called
/// in a process of its own, once for every shape; a crash or an endless loop is a result like any
/// other.
///
///   int apb_attention(const struct apb_attention_call *call);
///
/// Rows are [anchor, block], keys [anchor, passing, block]. Anchor row i sees anchor keys 0…i and
/// nothing else; block row i sees all anchor keys, all passing keys and block keys 0…i. Query head
/// h reads KV head h / (num_q_heads / num_kv_heads). Every segment may be empty. A row that sees
/// nothing has out = 0, lse = -inf.
///
/// All pointers are host memory. What lies between and after rows is NaN and must be neither used
/// nor changed.

#ifndef APB_PLUGIN_H
#define APB_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Grows when anything in this file changes. A kernel compares it with `abi_version`.
enum { APB_ABI_VERSION = 1 };

/// Element types.
enum apb_dtype { APB_FLOAT32 = 1, APB_BFLOAT16 = 2, APB_FLOAT16 = 3 };

/// What apb_attention returns. Any other value is a failure and is shown.
enum apb_status {
  APB_OK = 0,
  APB_UNSUPPORTED =
      1 /* this element type or shape is not for this kernel: not judged, but listed */
};

/// Elements [batch, rows, heads, head_dim]; those of one head are contiguous. Strides in bytes.
struct apb_tensor {
  void* data; /* of (batch 0, row 0, head 0); not to be read if there are no rows */
  int64_t rows;
  int64_t batch_stride;
  int64_t row_stride;
  int64_t head_stride;
};

/// Keys and values of one segment, num_kv_heads heads.
struct apb_segment {
  struct apb_tensor key;
  struct apb_tensor value;
};

struct apb_attention_call {
  int32_t abi_version; /* APB_ABI_VERSION of the caller */
  int32_t dtype;       /* enum apb_dtype, of query, keys, values and out; lse is always float32 */
  int64_t batch;
  int64_t num_q_heads;
  int64_t num_kv_heads;
  int64_t head_dim;
  double softmax_scale;
  struct apb_tensor query; /* rows = anchor rows + block rows, num_q_heads heads */
  struct apb_segment anchor;
  struct apb_segment passing;
  struct apb_segment block;
  struct apb_tensor out; /* to be written; as query */
  struct apb_tensor lse; /* to be written; as query with head_dim 1: natural log, float32 */
};

typedef int apb_attention_function(const struct apb_attention_call* call);

#ifdef __cplusplus
}
#endif

#endif
