using System.Globalization;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>Charts as pictures, and the same figures as a table for whoever sees no pictures.</summary>
internal static class Charts
{
    // What the picture measures itself in; the page scales it.
    private const int Width = 400;
    private const int Height = 170;
    private const int Left = 34;
    private const int Top = 8;
    private const int Bottom = 22;

    /// <summary>One column for each hour or day.</summary>
    public static Markup Columns(string id, string title, string unit, IReadOnlyList<(string Label, long Value)> figures, int labelEvery)
    {
        var most = figures.Count == 0 ? 0 : figures.Max(figure => figure.Value);
        var scale = RoundUp(most);
        var step = (double)(Width - Left) / Math.Max(1, figures.Count);
        var peak = figures.FirstOrDefault(figure => figure.Value == most);
        var description = most == 0 ? $"Nothing in any of {figures.Count}." : $"{figures.Count} columns; the highest is {most} {unit}, at {peak.Label}.";
        return Markup.Of($"""
            <figure id="{id}" class="panel" data-live>
              <figcaption>{title}</figcaption>
              <svg class="chart" viewBox="0 0 {Width} {Height}" role="img" aria-labelledby="{id}-title {id}-description">
                <title id="{id}-title">{title}</title>
                <desc id="{id}-description">{description}</desc>
                {Line(0, scale)}{(scale > 1 ? Line(scale / 2, scale) : Markup.None)}{Line(scale, scale)}
                {figures.Select((figure, i) => Column(figure, Left + (i * step), step, scale, i % labelEvery == 0))}
              </svg>
              <details id="{id}-details"><summary>As a table</summary>{Table(title, unit, figures)}</details>
            </figure>
            """);
    }

    private static double HeightOf(long value, long scale) => (double)value / scale * (Height - Top - Bottom);

    private static Markup Line(long value, long scale)
    {
        var y = Height - Bottom - HeightOf(value, scale);
        return Markup.Of($"""<line class="grid" x1="{Left}" x2="{Width}" y1="{y:0.#}" y2="{y:0.#}"/><text class="scale" x="{Left - 5}" y="{y + 4:0.#}">{Short(value)}</text>""");
    }

    private static Markup Column((string Label, long Value) figure, double x, double step, long scale, bool labelled)
    {
        var height = HeightOf(figure.Value, scale);
        var label = labelled ? Markup.Of($"""<text class="label" x="{x + (step / 2):0.#}" y="{Height - 6}">{figure.Label}</text>""") : Markup.None;
        return Markup.Of($"""<g><title>{figure.Label}: {figure.Value}</title><rect class="column" x="{x + (step * 0.12):0.#}" y="{Height - Bottom - height:0.#}" width="{step * 0.76:0.#}" height="{height:0.#}" rx="2"/>{label}</g>""");
    }

    private static Markup Table(string title, string unit, IReadOnlyList<(string Label, long Value)> figures) => Markup.Of($"""
        <table><caption class="hidden">{title}</caption><thead><tr><th scope="col">When (UTC)</th><th scope="col" class="number">{unit}</th></tr></thead>
        <tbody>{figures.Select(figure => Markup.Of($"""<tr><th scope="row">{figure.Label}</th><td class="number">{figure.Value:N0}</td></tr>"""))}</tbody></table>
        """);

    /// <summary>A table of names whose counts are drawn beside them.</summary>
    public static Markup Bars(string id, string title, string what, string unit, IReadOnlyList<KeyValuePair<string, long>> figures)
    {
        var most = figures.Count == 0 ? 1 : Math.Max(1, figures.Max(figure => figure.Value));
        return figures.Count == 0
            ? Markup.Of($"""<section id="{id}" class="panel" data-live><h3>{title}</h3><p class="quiet">None yet.</p></section>""")
            : Markup.Of($"""
                <section id="{id}" class="panel" data-live>
                  <h3>{title}</h3>
                  <table><thead><tr><th scope="col">{what}</th><th scope="col" class="number" colspan="2">{unit}</th></tr></thead>
                  <tbody>{figures.Select(figure => Markup.Of($"""
                    <tr><th scope="row">{figure.Key}</th><td class="drawn"><svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="column" width="{figure.Value * 100.0 / most:0.#}" height="10"/></svg></td><td class="number">{figure.Value:N0}</td></tr>
                    """))}</tbody></table>
                </section>
                """);
    }

    // Of each power of ten; of ones no 3, whose half is no number of sessions.
    private static readonly long[] Steps = [1, 2, 3, 4, 6, 8, 10];

    /// <summary>A round number just above, whose half is a whole number, too.</summary>
    private static long RoundUp(long most)
    {
        long power = 1;
        while (power * 10 < most && power < long.MaxValue / 100)
        {
            power *= 10;
        }

        return Steps.Select(step => step * power).FirstOrDefault(top => top >= most && (top == 1 || top % 2 == 0), power * 10);
    }

    private static string Short(long value) => value switch
    {
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{value / 1e6:0.#}M"),
        >= 10_000 => string.Create(CultureInfo.InvariantCulture, $"{value / 1e3:0.#}k"),
        _ => value.ToString(CultureInfo.InvariantCulture),
    };
}
