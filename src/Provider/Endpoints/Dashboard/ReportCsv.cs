using System.Globalization;
using System.Text;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>
/// Daily reports for a spreadsheet: day, figure, name, value. A spreadsheet runs what begins like a formula, and names come from whoever
/// uses the site, so such a cell begins with an apostrophe (OWASP, CSV injection).
/// </summary>
internal static class ReportCsv
{
    public static string Write(IEnumerable<(DailyReport Report, IReadOnlyDictionary<string, long> Events)> days)
    {
        var csv = new StringBuilder("day,figure,name,value\r\n");
        foreach (var (report, events) in days)
        {
            Row("created", "", report.Created);
            Row("ended", "signed out", report.SignedOut);
            Row("ended", "revoked", report.Revoked);
            Row("ended", "expired", report.Expired);
            Row("ended", "rejected", report.Rejected);
            Row("unique users", "", report.UniqueUsers);
            Row("average duration in seconds", "", (long)report.AverageDuration.TotalSeconds);
            for (var hour = 0; hour < report.PeakConcurrentByHour.Count; hour++)
            {
                Row("most at once", $"{hour:00}:00", report.PeakConcurrentByHour[hour]);
            }

            foreach (var (name, count) in report.TopUserAgents)
            {
                Row("device", name, count);
            }

            foreach (var (name, count) in report.TopAddresses)
            {
                Row("address", name, count);
            }

            foreach (var (name, count) in events.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal))
            {
                Row("event", name, count);
            }

            void Row(string figure, string name, long value) =>
                csv.Append(CultureInfo.InvariantCulture, $"{report.Day:yyyy-MM-dd},{figure},{Cell(name)},{value}\r\n");
        }

        return csv.ToString();
    }

    private static string Cell(string text)
    {
        if (text.AsSpan().TrimStart() is ['=' or '+' or '-' or '@' or '＝' or '＋' or '－' or '＠', ..] || text is ['\t' or '\r' or '\n', ..])
        {
            text = $"'{text}";
        }

        return text.AsSpan().ContainsAny("\",;\t\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }
}
