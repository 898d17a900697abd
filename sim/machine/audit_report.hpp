#pragma once
/// \file
/// Inside the audit: where its checks put what they find.

#include <fmt/format.h>

#include "sim/machine/profile_audit.hpp"

namespace apb::sim {

class AuditReport {
 public:
  explicit AuditReport(std::string file) : file_(std::move(file)) {}

  void error(std::string key, std::string text) { add(Severity::kError, key, text); }
  void warning(std::string key, std::string text) { add(Severity::kWarning, key, text); }
  [[nodiscard]] std::vector<Finding> take() { return std::move(findings_); }

 private:
  void add(Severity severity, std::string& key, std::string& text) {
    findings_.push_back({severity, file_, std::move(key), std::move(text)});
  }

  std::string file_;
  std::vector<Finding> findings_;
};

[[nodiscard]] inline std::string table_key(std::string_view family, std::size_t table) {
  return fmt::format("tables.{}[{}]", family, table);
}

/// Rates above the peak, bandwidth above the links, times that fall, missing tables.
void audit_tables(const MachineProfile& profile, AuditReport& report);

/// Tables that stand twice, that another machine has, or that are an all-reduce's.
void audit_copied_tables(const MachineProfile& profile, std::span<const MachineProfile> others,
                         AuditReport& report);

}  // namespace apb::sim
