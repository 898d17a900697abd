#include "tests/sim/sim_samples.hpp"

namespace apb::sim {

MachineProfile round_machine() {
  const auto known = [](double number) {
    return SourcedValue{number, Provenance::kMeasured, "made up"};
  };
  MachineProfile machine;
  machine.name = machine.title = "round";
  machine.peak_flop_per_s = known(100e12);
  machine.memory_bytes_per_s = known(1e12);
  machine.memory_bytes = known(80e9);
  machine.reserved_bytes = known(1e9);
  machine.gpus_per_node = known(8);
  machine.link_bytes_per_s = known(100e9);
  machine.nics_per_node = known(8);
  machine.nic_bytes_per_s = known(25e9);
  machine.gemm_efficiency = machine.attention_efficiency = known(0.5);
  machine.sparse_efficiency = known(0.1);
  machine.streaming_efficiency = machine.link_efficiency = machine.nic_efficiency = known(1);
  for (SourcedValue* none :
       {&machine.collective_latency_s, &machine.node_latency_s, &machine.eager.dispatch_s,
        &machine.eager.gap_s, &machine.eager.collective_s, &machine.captured.dispatch_s,
        &machine.captured.gap_s, &machine.captured.collective_s}) {
    *none = known(0);
  }
  machine.spread.gemm = machine.spread.attention = machine.spread.streaming = known(0.05);
  machine.spread.collective = machine.spread.host = machine.spread.session = known(0.05);
  machine.spread.extrapolated = known(0.1);
  return machine;
}

ModelSizes llama_8b() {
  ModelSizes model;
  model.name = "Llama-3.1-8B";
  model.num_layers = 32;
  model.hidden_size = 4096;
  model.intermediate_size = 14336;
  model.num_q_heads = 32;
  model.num_kv_heads = 8;
  model.head_dim = 128;
  model.vocab_size = 128256;
  model.num_parameters = 8'030'261'248;
  return model;
}

Job usual_job(SimMethod method, Index doc_len, int num_ranks) {
  const SimMethodEntry& entry = entry_of(method);
  Job job;
  set_model(job, llama_8b());
  job.method = method;
  job.lengths.doc_len = doc_len;
  job.lengths.num_ranks = num_ranks;
  if (entry.passes) {
    job.lengths.compressor =
        method == SimMethod::kSpava ? Compressor::kRecent : Compressor::kRetainingHead;
  }
  set_usual_lengths(job);
  return job;
}

}  // namespace apb::sim
