using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Http;

namespace RedisSessions.Benchmarks.Results;

/// <summary>Lines of time (logarithmic) against requests per second: a row for reading and one for writing, a column for each quantile.</summary>
internal static class LatencyPlot
{
    private const int PanelWidth = 330;
    private const int PanelHeight = 250;
    private const double Lowest = 50;
    private const double Highest = 50_000;

    private static readonly (string Contender, string Color)[] Series =
        [(Contender.Ping, "#9aa5a1"), (Contender.Ours, "#1f6b4f"), (Contender.OursDedicated, "#7cc2a4"), (Contender.Microsoft, "#c46a1b"), (Contender.JsonBlob, "#5a6fb0")];

    public static string Draw(IReadOnlyList<LatencySample> points)
    {
        var svg = new StringBuilder();
        svg.AppendLine(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {(3 * PanelWidth) + 40} {(2 * PanelHeight) + 60}\" font-family=\"sans-serif\" font-size=\"12\">");
        svg.AppendLine("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
        var x = 50;
        foreach (var (contender, color) in Series)
        {
            svg.AppendLine(CultureInfo.InvariantCulture, $"<rect x=\"{x}\" y=\"12\" width=\"14\" height=\"14\" fill=\"{color}\"/><text x=\"{x + 20}\" y=\"24\">{contender}</text>");
            x += 40 + (contender.Length * 7);
        }

        var (row, quantiles) = (0, new (string Name, Func<LatencySample, double> Of)[] { ("p50", p => p.P50), ("p99", p => p.P99), ("p99.9", p => p.P999) });
        foreach (var (path, title) in new[] { ("/read-async", "Read"), ("/write", "Write one field") })
        {
            var here = points.Where(point => point.Path == path).ToArray();
            for (var column = 0; column < quantiles.Length; column++)
            {
                DrawPanel(svg, here, quantiles[column].Of, $"{title}: {quantiles[column].Name} against requests/s", 50 + (column * PanelWidth), 50 + (row * PanelHeight));
            }

            row++;
        }

        return svg.AppendLine("</svg>").ToString();
    }

    private static void DrawPanel(StringBuilder svg, LatencySample[] points, Func<LatencySample, double> of, string title, int left, int top)
    {
        const int Width = PanelWidth - 60;
        const int Height = PanelHeight - 60;
        var most = points.Max(point => point.PerSecond);
        svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left}\" y=\"{top}\" font-weight=\"bold\">{title}</text>");
        foreach (var (value, label) in new[] { (100.0, "0.1 ms"), (1_000, "1 ms"), (10_000, "10 ms") })
        {
            svg.AppendLine(CultureInfo.InvariantCulture, $"<line x1=\"{left}\" y1=\"{Y(value):0.0}\" x2=\"{left + Width}\" y2=\"{Y(value):0.0}\" stroke=\"#ddd\"/><text x=\"{left - 4}\" y=\"{Y(value) + 4:0.0}\" font-size=\"10\" text-anchor=\"end\">{label}</text>");
        }

        svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left + Width}\" y=\"{top + Height + 26}\" font-size=\"10\" text-anchor=\"end\">{most / 1000:0}k/s</text>");
        svg.AppendLine(CultureInfo.InvariantCulture, $"<line x1=\"{left}\" y1=\"{top + Height + 12}\" x2=\"{left + Width}\" y2=\"{top + Height + 12}\" stroke=\"#444\"/>");
        foreach (var (contender, color) in Series)
        {
            var line = points.Where(point => point.Contender == contender).OrderBy(point => point.Connections).Select(point => string.Create(CultureInfo.InvariantCulture, $"{left + (point.PerSecond / most * Width):0.0},{Y(of(point)):0.0}")).ToArray();
            svg.AppendLine($"<polyline points=\"{string.Join(' ', line)}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>");
        }

        double Y(double microseconds) => top + 12 + (Height * (1 - (Math.Log(Math.Clamp(microseconds, Lowest, Highest) / Lowest) / Math.Log(Highest / Lowest))));
    }
}
