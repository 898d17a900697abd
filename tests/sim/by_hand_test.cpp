// Five methods computed by hand. The arithmetic stands in the comments and its results below it, as
// numbers: nothing here comes from the simulator's own formulas.
//
// Model: 2 layers, 1,000 wide, feed-forward 3,000; 8 query heads and 4 KV heads of 100, so Q is 800
// wide, K and V 400 each; 2 bytes an element. Machine: products and attention at 50 TFLOP/s, memory
// at 1 TB/s, links at 100 GB/s, nothing else takes time. Document: 4,000 tokens, on 4 ranks.
//
// One row through one layer, beside attention:
//   QKV              2 x 1,000 x (800 + 400 + 400)   =  3,200,000 FLOP
//   O                2 x 800 x 1,000                 =  1,600,000
//   gate and up      2 x 1,000 x 6,000               = 12,000,000
//   down             2 x 3,000 x 1,000               =  6,000,000
//                                                      22,800,000 FLOP at 50 TFLOP/s: 456 ns
//   two norms        2 x (1,000 read, 1,000 written)          =  4,000 elements
//   RoPE             800 + 400 read, 1,200 written            =  2,400
//   two residuals    2 x (2 x 1,000 read, 1,000 written)      =  6,000
//   SiLU             2 x 3,000 read, 3,000 written            =  9,000
//                                     21,400 elements, 42,800 bytes at 1 TB/s: 42.8 ns
//   together 498.8 ns.
// One (row, key) pair, all heads: 2 products of 2 x 100 FLOP x 8 heads = 3,200 FLOP: 64 ps.

#include <cmath>

#include "sim/predict/predict.hpp"
#include "tests/sim/sim_samples.hpp"
#include "tests/support/catch.hpp"

namespace apb::sim {
namespace {

Job small_job(SimMethod method) {
  Job job;
  job.method = method;
  ModelSizes model;
  model.num_layers = 2;
  model.hidden_size = 1000;
  model.intermediate_size = 3000;
  model.num_q_heads = 8;
  model.num_kv_heads = 4;
  model.head_dim = 100;
  model.vocab_size = 10'000;
  model.num_parameters = 50'000'000;
  model.retaining_size = 500;
  set_model(job, model);
  job.lengths.doc_len = 4000;
  job.lengths.num_ranks = 4;
  job.lengths.compressor = Compressor::kNone;
  return job;
}

/// Of the rank that has most to do.
struct ByHand {
  Index flop_a_layer;
  Index bytes_sent_a_layer;
  double prefill_us;
};

void check(const Job& job, const ByHand& wanted) {
  const MachineModel machine(round_machine());
  const Prediction prediction = predict(machine, job);
  const PartWork last = sum_of(work_of_job(machine, job).prefill.back());
  CHECK(last.flop == wanted.flop_a_layer);
  CHECK(last.bytes_sent == wanted.bytes_sent_a_layer);
  const double prefill_us = 1e6 * prediction.prefill.number;
  CAPTURE(prefill_us, wanted.prefill_us);
  CHECK(std::abs(prefill_us - wanted.prefill_us) < 1e-6 * wanted.prefill_us);
  // The last row's logits are memory-bound: a row of 1,000 in, 10,000 out, a matrix of 1,000 x
  // 10,000 of which a tensor-parallel GPU has a quarter.
  const double lm_head_us = job.method == SimMethod::kTensorParallel ? 5.007 : 20.022;
  CHECK(std::abs(1e6 * prediction.lm_head.number - lm_head_us) < 1e-6);
}

TEST_CASE("Full by hand", "[sim]") {
  // Pairs 4,000 x 4,001 / 2 = 8,002,000.
  // FLOP  4,000 x 22,800,000 + 8,002,000 x 3,200 = 91,200,000,000 + 25,606,400,000
  // Time  4,000 x 498.8 ns + 8,002,000 x 64 ps = 1,995.2 + 512.128 = 2,507.328 us a layer
  check(small_job(SimMethod::kFull), {116'806'400'000, 0, 2 * 2507.328});
}

TEST_CASE("tensor parallelism by hand", "[sim]") {
  // A GPU has 2 query heads, 1 KV head, 750 of the feed-forward columns, and all 4,000 rows.
  // FLOP  a quarter of Full's: 29,201,600,000; at 50 TFLOP/s 584.032 us
  // Bytes norms 4,000 elements, RoPE 2 x (200 + 100) = 600, residuals 6,000, SiLU 3 x 750 = 2,250:
  //       12,850 elements, 25,700 bytes a row; 4,000 rows at 1 TB/s 102.8 us
  // Sent  two all-reduces of 4,000 x 1,000 x 2 bytes = 8 MB; round a ring every GPU sends 3/4 of it
  //       twice, 12 MB: 2 x 12,000,000 bytes, at 100 GB/s 240 us
  // Time  584.032 + 102.8 + 240 = 926.832 us a layer
  check(small_job(SimMethod::kTensorParallel), {29'201'600'000, 24'000'000, 2 * 926.832});
}

TEST_CASE("Ulysses by hand", "[sim]") {
  // A rank has 1,000 rows; in attention 2 query heads and 1 KV head of all 4,000 rows.
  // FLOP  1,000 x 22,800,000 + 8,002,000 x 800 = 22,800,000,000 + 6,401,600,000
  // Sent  Q, K and V of its rows for three quarters of the heads, 1,000 x 3/4 x 1,600 x 2 bytes
  //       = 2,400,000 (24 us); out of its heads for the other rows, 3,000 x 200 x 2 = 1,200,000
  //       (12 us)
  // Time  498.8 + 8,002,000 x 16 ps = 128.032, + 24 + 12 = 662.832 us a layer
  check(small_job(SimMethod::kUlysses), {29'201'600'000, 3'600'000, 2 * 662.832});
}

TEST_CASE("Star by hand", "[sim]") {
  Job job = small_job(SimMethod::kStar);
  job.lengths.anchor_len = 1000;
  // All ranks but the first have an anchor of 1,000 rows and a block of 1,000: one causal sequence.
  // Pairs 2,000 x 2,001 / 2 = 2,001,000
  // FLOP  2,000 x 22,800,000 + 2,001,000 x 3,200 = 45,600,000,000 + 6,403,200,000
  // Time  2,000 x 498.8 ns + 2,001,000 x 64 ps = 997.6 + 128.064 = 1,125.664 us a layer
  check(job, {52'003'200'000, 0, 2 * 1125.664});
}

TEST_CASE("APB by hand", "[sim]") {
  Job job = small_job(SimMethod::kApb);
  job.lengths.compressor = Compressor::kRetainingHead;
  job.lengths.anchor_len = 200;
  job.lengths.num_kept = 100;
  // The last rank: an anchor of 200 rows, a block of 1,000, a passing block of 3 x 100.
  // Rows           1,200 x 498.8 ns = 598.56 us
  // Retaining head a block row's Q, K and V (1,600) to 500 hidden numbers: 1,000 x 2 x 1,600 x 500
  //                = 1,600,000,000 FLOP, 32 us; these to 4 scores: 1,000 x 2 x 500 x 4 = 4,000,000
  //                FLOP, but 1,000 x 500 in, 1,000 x 4 out and 500 x 4 weights are 1,012,000 bytes,
  //                which take longer: 1.012 us
  // Selection      1,000 x 4 scores of 4 bytes, pooled (read, written), then read four times:
  //                96,000 bytes; 100 entries of K and V, 4 heads x 100 x 2 bytes, read and written:
  //                320,000 bytes; 0.416 us
  // All-gather     100 x 2 x 400 x 2 = 160,000 bytes to each of 3 others: 480,000 sent; as many
  //                come, at 100 GB/s 4.8 us
  // Attention      anchor 200 x 201 / 2 = 20,100 pairs, block 1,000 x 1,001 / 2 = 500,500, block
  //                against anchor and passing 1,000 x 500 = 500,000: 1,020,600 x 64 ps = 65.3184
  //                us. Without a kernel that takes all, two results of 1,000 x 800 are merged: both
  //                read, one written, 4,800,000 bytes: 4.8 us
  // FLOP           1,200 x 22,800,000 + 1,604,000,000 + 1,020,600 x 3,200
  //                = 27,360,000,000 + 1,604,000,000 + 3,265,920,000
  // Time           598.56 + 32 + 1.012 + 0.416 + 4.8 + 65.3184 + 4.8 = 706.9064 us a layer
  check(job, {32'229'920'000, 480'000, 2 * 706.9064});
}

}  // namespace
}  // namespace apb::sim
