// Colours are those of Okabe and Ito, which all kinds of colour vision tell apart. What is no
// computation has a pattern as well; lines have markers. Text on a piece is dark or white,
// whichever contrasts more.
#include "sim/report/page_style.hpp"

namespace apb::sim::report {

std::string_view page_style() {
  return R"css(
:root { color-scheme: light dark; --page: #ffffff; --card: #f6f8fa; --text: #1f2328;
  --faint: #57606a; --rule: #d0d7de; --grid: #e4e8ec; --link: #0550ae; --edge: #1f232899; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --card: #161b22; --text: #e6edf3; --faint: #9da7b3; --rule: #30363d;
    --grid: #222930; --link: #79b8ff; --edge: #0d1117cc; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.25rem; margin: 40px 0 8px; padding-top: 16px; border-top: 1px solid var(--rule); }
h1, h2, p, li, figcaption, caption { overflow-wrap: anywhere; }
a { color: var(--link); }
.subtitle, figcaption, caption, nav { color: var(--faint); }
.subtitle { margin: 0 0 16px; }
.answer { font-size: 1.15rem; background: var(--card); border-left: 4px solid #0072b2;
  padding: 12px 16px; margin: 16px 0; }
pre { background: var(--card); padding: 10px 14px; margin: 16px 0; font-size: 13px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
nav ul, .legend { list-style: none; padding: 0; margin: 8px 0; display: flex; flex-wrap: wrap;
  gap: 4px 18px; }
.legend { font-size: 14px; }
.legend li { display: flex; align-items: center; gap: 7px; }
.swatch { width: 18px; height: 12px; flex: none; }
figure { margin: 0; }
figcaption { font-size: 15px; margin: 8px 0; max-width: 46em; }
.wide { overflow-x: auto; }
.figure { display: block; width: 100%; min-width: 640px; height: auto; }
.hint { color: var(--faint); font-size: 13px; margin: 4px 0; }
@media (min-width: 672px) { .hint, .legend.narrow { display: none; } }
ol { font-size: 14px; padding-left: 30px; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--link); padding: 6px 0; }
table { border-collapse: collapse; font-size: 14px; margin: 8px 0; }
.dense { font-size: 12.5px; }
caption { text-align: left; padding-bottom: 4px; }
th, td { text-align: left; padding: 5px 8px 5px 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
@media (max-width: 671px) { td:first-child:not(.number), td + td:not(.number) { min-width: 9em; } }
.figure text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--text); }
.figure text.faint { fill: var(--faint); }
.figure text.strong { font-weight: 600; }
.figure text.halo { paint-order: stroke; stroke: var(--page); stroke-width: 3px; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: var(--grid); }
.axis { stroke: var(--faint); }
.lane { fill: var(--card); }
.whisker { stroke: var(--text); stroke-width: 1.5; }
.one { stroke: var(--text); stroke-width: 1.3; stroke-dasharray: 5 4; }
.lead { stroke: var(--faint); stroke-width: 0.8; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.dashed { stroke-dasharray: 7 4; }
.band { opacity: 0.16; }
.dot { stroke: var(--page); stroke-width: 1; }
.beaten { fill: none; stroke: var(--faint); opacity: 0.6; }
.piece { stroke: var(--edge); stroke-width: 0.7; }
.thin { stroke-width: 0.3; }
.c0 { fill: #0072b2; } .s0 { stroke: #0072b2; }
.c1 { fill: #d55e00; } .s1 { stroke: #d55e00; }
.c2 { fill: #009e73; } .s2 { stroke: #009e73; }
.c3 { fill: #e69f00; } .s3 { stroke: #e69f00; }
.c4 { fill: #cc79a7; } .s4 { stroke: #cc79a7; }
.c5 { fill: #56b4e9; } .s5 { stroke: #56b4e9; }
.c6 { fill: var(--faint); } .s6 { stroke: var(--faint); }
.p0 { fill: #56b4e9; }
.p1 { fill: #cc79a7; }
.p2 { fill: #f0e442; }
.p3 { fill: url(#dots); }
.p4 { fill: #0072b2; }
.p5 { fill: #009e73; }
.p6 { fill: #e69f00; }
.p7 { fill: #bbbbbb; }
.p8 { fill: url(#bars); }
.p9 { fill: url(#hatch); stroke: var(--faint); }
.p10 { fill: var(--card); stroke: var(--faint); }
.input-low { fill: #56b4e9; }
.input-high { fill: url(#slope); }
.figure .on-p0, .figure .on-p1, .figure .on-p2, .figure .on-p3, .figure .on-p5, .figure .on-p6,
.figure .on-p7 { fill: #0d1117; }
.figure .on-p4 { fill: #ffffff; }
.pattern-ink { stroke: var(--faint); stroke-width: 1.6; }
)css";
}

std::string_view page_patterns() {
  return R"svg(<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#d55e00"/><circle cx="1.5" cy="1.5" r="1" fill="#ff9d52"/><circle cx="4.5" cy="4.5" r="1" fill="#ff9d52"/></pattern>
<pattern id="bars" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" fill="#8c959f"/><rect width="1.6" height="4" fill="#3d444d"/></pattern>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="pattern-ink" d="M1 0V6"/></pattern>
<pattern id="slope" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="6" height="6" fill="#e69f00"/><rect width="1.5" height="6" fill="#a56f00"/></pattern>
</defs></svg>
)svg";
}

}  // namespace apb::sim::report
