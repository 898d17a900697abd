// UTF-8: what Unicode's table 3-7 allows, and the byte at which text stops being it.

#include "reference/model_io/utf8.hpp"

#include <string>

#include "tests/support/catch.hpp"

namespace apb {
namespace {

TEST_CASE("text that is UTF-8", "[utf8]") {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "plain"sv, "\0\x7f"sv, "caf\xc3\xa9"sv, "\xc2\x80\xdf\xbf"sv, "\xe0\xa0\x80"sv,
        "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv,
        "\xf4\x8f\xbf\xbf"sv}) {
    CAPTURE(text);
    CHECK(!first_byte_not_utf8(text));
  }
}

TEST_CASE("text that is not, after two right characters", "[utf8]") {
  const std::string right = "a\xc3\xa9";
  for (const std::string wrong :
       {"\xe9", "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3z", "\xe0\x9f\xbf", "\xe2\x82",
        "\xe2\x82z", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
        "\xf0\x90\x80z", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe"}) {
    CAPTURE(wrong);
    CHECK(first_byte_not_utf8(right + wrong) == right.size());
    CHECK(first_byte_not_utf8(right + wrong + "more") == right.size());
  }
}

}  // namespace
}  // namespace apb
