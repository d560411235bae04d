using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Http;

namespace RedisSessions.Benchmarks.Results;

/// <summary>Bars of requests per second against session size, for reading and for writing.</summary>
internal static class Plot
{
    private const int Width = 900;
    private const int PanelHeight = 260;
    private static readonly (string Contender, string Color)[] Series =
        [(Contender.Ping, "#9aa5a1"), (Contender.Ours, "#1f6b4f"), (Contender.Microsoft, "#c46a1b"), (Contender.JsonBlob, "#5a6fb0")];

    public static string Draw(IReadOnlyList<Sample> rates)
    {
        var connections = rates.Max(rate => rate.Connections);
        var panels = new[] { ("/read-async", "Read"), ("/write", "Write one field"), ("/read-sync", "Synchronous read") };
        var svg = new StringBuilder();
        svg.AppendLine(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {(panels.Length * PanelHeight) + 50}\" font-family=\"sans-serif\" font-size=\"13\">");
        svg.AppendLine("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
        var x = 70;
        foreach (var (contender, color) in Series)
        {
            svg.AppendLine(CultureInfo.InvariantCulture, $"<rect x=\"{x}\" y=\"14\" width=\"14\" height=\"14\" fill=\"{color}\"/><text x=\"{x + 20}\" y=\"26\">{contender}</text>");
            x += 190;
        }

        for (var i = 0; i < panels.Length; i++)
        {
            DrawPanel(svg, rates, panels[i].Item1, connections, $"{panels[i].Item2}, {connections} connections, requests/s", 40 + (i * PanelHeight));
        }

        return svg.AppendLine("</svg>").ToString();
    }

    private static void DrawPanel(StringBuilder svg, IReadOnlyList<Sample> samples, string path, int connections, string title, int top)
    {
        var rates = samples.Where(rate => rate.Path == path && rate.Connections == connections).ToArray();
        var highest = Math.Max(1, rates.Max(rate => rate.PerSecond));
        var sizes = rates.Select(rate => rate.Size).Distinct().Order().ToArray();
        var baseline = top + PanelHeight - 35;
        var height = PanelHeight - 80;
        svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"70\" y=\"{top + 20}\" font-weight=\"bold\">{title}</text>");
        svg.AppendLine(CultureInfo.InvariantCulture, $"<line x1=\"65\" y1=\"{baseline}\" x2=\"{Width - 20}\" y2=\"{baseline}\" stroke=\"#444\"/>");
        for (var i = 0; i < sizes.Length; i++)
        {
            var left = 80 + (i * (Width - 120) / sizes.Length);
            svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left + 70}\" y=\"{baseline + 18}\" text-anchor=\"middle\">{sizes[i] / 1000} KB</text>");
            for (var j = 0; j < Series.Length; j++)
            {
                var rate = rates.Rate(path, sizes[i], connections, Series[j].Contender) ?? 0;
                var bar = rate / highest * height;
                svg.AppendLine(CultureInfo.InvariantCulture, $"<rect x=\"{left + (j * 38)}\" y=\"{baseline - bar:0.0}\" width=\"32\" height=\"{bar:0.0}\" fill=\"{Series[j].Color}\"/><text x=\"{left + (j * 38) + 16}\" y=\"{baseline - bar - 4:0.0}\" font-size=\"10\" text-anchor=\"middle\">{rate / 1000:0.0}k</text>");
            }
        }
    }
}
