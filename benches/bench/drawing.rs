//! What all pictures are drawn with.

/// Colours for both themes, on a ground of its own: a page may be dark where the system is light.
const STYLE: &str = "
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
.head { font-weight: 600; font-size: 14px; }
.faint { fill: #59636e; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.ground { fill: #ffffff; stroke: #d1d9e0; }
.line { stroke: #d1d9e0; }
.raw { stroke: #59636e; stroke-width: 1.5; }
.bar { fill: #4c8bd6; }
.short { fill: #d0762f; }
.mark { stroke: #1f2328; stroke-width: 2.5; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.faint { fill: #9198a1; }
.ground { fill: #0d1117; stroke: #3d444d; }
.line { stroke: #3d444d; }
.raw { stroke: #9198a1; }
.bar { fill: #3f7cc4; }
.short { fill: #bd6a2a; }
.mark { stroke: #f0f6fc; }
}
";

/// A self-contained SVG: a title and a description for who cannot see it, styles beyond the common ones, the size, and what is on it.
pub fn page(
    (title, description): (&str, &str),
    more_style: &str,
    (width, height): (f64, f64),
    body: &str,
) -> String {
    let (ground, below) = (height - 1.0, width - 1.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"description\">{description}</desc>\n\
         <style>{STYLE}{more_style}</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{below}\" height=\"{ground}\" rx=\"6\"/>\n\
         {body}</svg>\n"
    )
}

/// An upright line.
pub fn upright(x: f64, (from, to): (f64, f64), class: &str) -> String {
    format!("<path class=\"{class}\" d=\"M{x} {from}V{to}\"/>\n")
}

/// Nothing where there is no text.
pub fn text(x: f64, y: f64, class: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>\n")
}
