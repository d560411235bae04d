using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Security;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>What an operator sees. Nothing here changes anything.</summary>
internal sealed class DashboardPages(
    IServiceProvider services,
    ISessionRepository sessions,
    SessionTimeouts timeouts,
    IOptions<UserIndexOptions> identities,
    ILogger<DashboardPages> logger,
    SessionDashboardOptions options)
{
    private const int DaysOfChart = 14;
    private const int MostUsers = 200;
    private const int MostSessions = 200;
    private const int LongestValue = 200;

    private readonly IUserSessions? _users = services.GetService<IUserSessions>();
    private readonly ISessionAnalytics? _analytics = services.GetService<ISessionAnalytics>();
    private readonly RecentSecurityEvents? _events = services.GetService<RecentSecurityEvents>();

    private DateTimeOffset Now => timeouts.Clock.GetUtcNow();

    private DateOnly Today => DateOnly.FromDateTime(Now.UtcDateTime);

    private Task SendAsync(DashboardRequest request, string title, string section, Markup body) =>
        request.SendAsync(DashboardLayout.Page(request, title, section, options.RefreshInterval, body));

    private static Task NotFoundAsync(DashboardRequest request, string sentence) =>
        DashboardLayout.RefuseAsync(request, "Not found", sentence, StatusCodes.Status404NotFound);

    public async Task OverviewAsync(DashboardRequest request)
    {
        if (_analytics is null)
        {
            await SendAsync(request, "Overview", "", DashboardLayout.Missing("Figures and charts are made by analytics.", "AddRedisSession(...).AddAnalytics()")).ConfigureAwait(false);
            return;
        }

        var day = DayOf(request.Query("day")) ?? Today;
        var now = await _analytics.GetMetricsAsync(request.Aborted).ConfigureAwait(false);
        var report = await _analytics.GetDailyReportAsync(day, request.Aborted).ConfigureAwait(false);
        var days = await _analytics.GetRangeAsync(day.AddDays(1 - DaysOfChart), day, request.Aborted).ConfigureAwait(false);
        var counts = await _analytics.GetEventCountsAsync(day, request.Aborted).ConfigureAwait(false);
        var when = day == Today ? "today" : $"on {Text(day)}";
        await SendAsync(request, "Overview", "", Markup.Of($"""
            <dl id="now" class="tiles" data-live>
              {Tile("live", "Live sessions", $"{now.TotalSessions:N0}")}
              {Tile("active", "In use lately", $"{now.ActiveSessions:N0}")}
              {Tile("unique", "Users today", $"{now.UniqueUsers:N0}")}
              {Tile("per-user", "Sessions a user", $"{now.SessionsPerUser:0.0}")}
              {Tile("duration", "Average life of those that ended today", Duration(now.AverageDuration))}
            </dl>
            <section aria-labelledby="day-title">
              <div class="bar-of-tools">
                <h2 id="day-title">The day {Text(day)}</h2>
                <form method="get" action="{request.Home}"><label>Day (UTC) <input type="date" name="day" value="{Text(day)}" max="{Text(Today)}"></label><button>Show</button></form>
              </div>
              <div class="grid-of-two">
                {Charts.Columns("hours", "Most sessions at once, by hour", "sessions", [.. report.PeakConcurrentByHour.Select((most, hour) => ($"{hour:00}:00", most))], labelEvery: 6)}
                {Charts.Columns("days", $"Sessions created, {DaysOfChart} days", "created", [.. days.Select(of => (of.Day.ToString("MM-dd", CultureInfo.InvariantCulture), of.Created))], labelEvery: 4)}
                {Charts.Bars("devices", $"Devices of sessions created {when}", "Device", "Sessions", report.TopUserAgents)}
                {Charts.Bars("addresses", $"Networks of sessions created {when}", "Address", "Sessions", report.TopAddresses)}
                {Charts.Bars("ended", $"How sessions ended {when}", "How", "Sessions", [new("signed out", report.SignedOut), new("revoked", report.Revoked), new("expired", report.Expired), new("rejected", report.Rejected)])}
                {Charts.Bars("counts", $"Events {when}", "Event", "Times", [.. counts.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal)])}
              </div>
              <form class="bar-of-tools" method="get" action="{request.Link("report.csv")}">
                <label>From <input type="date" name="from" value="{Text(day.AddDays(1 - DaysOfChart))}"></label>
                <label>To <input type="date" name="to" value="{Text(day)}"></label>
                <button>Download daily reports (CSV)</button>
              </form>
            </section>
            """)).ConfigureAwait(false);

        static Markup Tile(string id, string what, FormattableString figure) =>
            Markup.Of($"""<div><dt>{what}</dt><dd id="{id}">{figure.ToString(CultureInfo.InvariantCulture)}</dd></div>""");
    }

    public async Task UsersAsync(DashboardRequest request)
    {
        if (_users is null)
        {
            await SendAsync(request, "Users", "users", DashboardLayout.Missing("Whose sessions are whose is kept by the index of users.", "AddRedisSession(...).AddUserIndex()")).ConfigureAwait(false);
            return;
        }

        var active = new List<ActiveUser>();
        await foreach (var user in _users.GetActiveUsersAsync(Now.AddDays(-1), request.Aborted).ConfigureAwait(false))
        {
            active.Add(user);
            if (active.Count == MostUsers)
            {
                break;
            }
        }

        active.Sort(static (a, b) => b.LastActiveAt.CompareTo(a.LastActiveAt));
        var note = active.Count == MostUsers ? $"{MostUsers} of the users who were active in the last 24 hours; find others by their id." : "Users who were active in the last 24 hours.";
        await SendAsync(request, "Users", "users", Markup.Of($"""
            <form class="bar-of-tools" method="get" action="{request.Link("user")}"><label>User's id <input name="id" required autocomplete="off"></label><button>Show sessions</button></form>
            <section id="active-users" class="panel" data-live>
              <p class="quiet">{note}</p>
              <table><thead><tr><th scope="col">User</th><th scope="col">Last active (UTC)</th></tr></thead>
              <tbody>{active.Select(user => Markup.Of($"""<tr><th scope="row"><a href="{request.Link("user", ("id", user.UserId))}">{user.UserId}</a></th><td>{DashboardLayout.Time(user.LastActiveAt)}</td></tr>"""))}</tbody></table>
            </section>
            <form class="panel danger" method="post" action="{request.Link("revoke-everyone")}">
              <h2>End every session of every user</h2>
              <p>For an incident. Everybody has to sign in again, you included; anonymous sessions stay.</p>
              {request.Token()}
              <label>Reason <input name="note" required maxlength="200" autocomplete="off"></label>
              <label>Type “everyone” <input name="confirm" required autocomplete="off"></label>
              <button class="danger">Revoke everyone</button>
            </form>
            """)).ConfigureAwait(false);
    }

    public async Task UserAsync(DashboardRequest request)
    {
        if (_users is null || request.Query("id") is not { } userId)
        {
            await NotFoundAsync(request, "There is no such user.").ConfigureAwait(false);
            return;
        }

        var listed = await _users.ListAsync(userId, 0, MostSessions, request.Aborted).ConfigureAwait(false);
        var token = request.Token();
        await SendAsync(request, $"Sessions of {userId}", "users", Markup.Of($"""
            {(listed.Count == MostSessions ? Markup.Of($"""<p class="quiet">The first {MostSessions}.</p>""") : Markup.None)}
            <div class="scroll panel" role="region" aria-label="Sessions" tabindex="0">
              <table id="sessions">
                <thead><tr><th scope="col">Device</th><th scope="col">Address</th><th scope="col">Signed in (UTC)</th><th scope="col">Last seen (UTC)</th><th scope="col">Ends unused (UTC)</th><th scope="col">End it</th></tr></thead>
                <tbody>{listed.Select(session => Row(request, userId, session, token))}</tbody>
              </table>
              {(listed.Count == 0 ? Markup.Of($"""<p class="quiet">This user has no live session.</p>""") : Markup.None)}
            </div>
            <form class="panel danger" method="post" action="{request.Link("revoke-user")}" data-confirm="End all sessions of this user?">
              <h2>End all of them</h2>
              {token}<input type="hidden" name="user" value="{userId}">
              <label>Reason <input name="note" required maxlength="200" autocomplete="off"></label>
              <button class="danger">Revoke all sessions of this user</button>
            </form>
            """)).ConfigureAwait(false);
    }

    private static Markup Row(DashboardRequest request, string userId, UserSession session, Markup token) => Markup.Of($"""
        <tr>
          <th scope="row"><a href="{request.Link("session", ("id", session.Id), ("user", userId))}">{session.DeviceName}</a>{(session.IsCurrent ? Markup.Of($" <strong>(yours, now)</strong>") : Markup.None)}<br><small class="agent">{session.UserAgent}</small></th>
          <td>{session.Address}</td><td>{DashboardLayout.Time(session.SignedInAt)}</td><td>{DashboardLayout.Time(session.LastSeenAt)}</td><td>{DashboardLayout.Time(session.ExpiresAt)}</td>
          <td><form class="inline" method="post" action="{request.Link("revoke")}">{token}<input type="hidden" name="user" value="{userId}"><input type="hidden" name="session" value="{session.Id}">
            <input name="note" required maxlength="200" placeholder="Reason" aria-label="Reason for ending {session.DeviceName}" autocomplete="off"><button class="danger" aria-label="Revoke {session.DeviceName}">Revoke</button></form></td>
        </tr>
        """);

    public async Task SessionAsync(DashboardRequest request)
    {
        StoredSession? stored = null;
        if (request.Query("id") is { } id)
        {
            try
            {
                stored = await sessions.GetAsync(id, request.Aborted).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is RedisServerException or FormatException or CryptographicException)
            {
                logger.DashboardSessionUnreadable(id, exception);
                await NotFoundAsync(request, "What is stored under this id cannot be read as a session; the log says why.").ConfigureAwait(false);
                return;
            }
        }

        if (stored is null)
        {
            await NotFoundAsync(request, "There is no such session. It may have ended, or have another id by now.").ConfigureAwait(false);
            return;
        }

        var user = request.Query("user");
        if (options.ShowValues)
        {
            logger.DashboardAction("looked at the values of a session", identities.Value.GetUserId(request.Context.User) ?? request.Context.User.Identity?.Name, user, stored.Id, null);
        }

        var happened = _analytics is null ? null : await _analytics.GetEventsAsync(stored.Id, request.Aborted).ConfigureAwait(false);
        await SendAsync(request, "A session", "users", Markup.Of($"""
            {(user is null ? Markup.None : Markup.Of($"""<p><a href="{request.Link("user", ("id", user))}">All sessions of {user}</a></p>"""))}
            <dl id="session" class="facts panel">
              <dt>Id</dt><dd><code>{stored.Id}</code></dd>
              <dt>Created</dt><dd>{DashboardLayout.Time(stored.CreatedAt)} UTC</dd>
              <dt>Last seen</dt><dd>{DashboardLayout.Time(stored.LastSeenAt)} UTC</dd>
              <dt>Ends unused</dt><dd>{DashboardLayout.Time(stored.ExpiresAt)} UTC</dd>
            </dl>
            <section class="panel">
              <h2>Fields</h2>
              <div class="scroll" role="region" aria-label="Fields" tabindex="0">
              <table id="fields"><thead><tr><th scope="col">Field</th><th scope="col" class="number">Bytes</th>{(options.ShowValues ? Markup.Of($"""<th scope="col">Value</th>""") : Markup.None)}</tr></thead>
              <tbody>{stored.Fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => Markup.Of($"""
                <tr><th scope="row"><code>{field.Key}</code></th><td class="number">{field.Value.Length:N0}</td>{(options.ShowValues ? Markup.Of($"""<td><code>{ValueOf(field.Value)}</code></td>""") : Markup.None)}</tr>
                """))}</tbody></table></div>
            </section>
            {(happened is null ? DashboardLayout.Missing("What happened in a session is recorded by analytics.", "AddRedisSession(...).AddAnalytics()") : Happened(happened))}
            """)).ConfigureAwait(false);
    }

    private static Markup Happened(IReadOnlyList<SessionEvent> events) => Markup.Of($"""
        <section id="happened" class="panel" data-live>
          <h2>What happened in it</h2>
          <div class="scroll" role="region" aria-label="What happened in it" tabindex="0"><table><thead><tr><th scope="col">When (UTC)</th><th scope="col">Event</th><th scope="col">Data</th></tr></thead>
          <tbody>{events.Select(e => Markup.Of($"""<tr><td>{DashboardLayout.Time(e.At)}</td><th scope="row">{e.Name}</th><td>{e.Data}</td></tr>"""))}</tbody></table></div>
        </section>
        """);

    /// <summary>Text as text, and anything else as its first bytes.</summary>
    private static string ValueOf(byte[] value)
    {
        var text = Encoding.UTF8.GetString(value, 0, Math.Min(value.Length, LongestValue));
        if (text.Any(character => character == '\uFFFD' || (char.IsControl(character) && character is not ('\n' or '\r' or '\t'))))
        {
            text = Convert.ToHexString(value, 0, Math.Min(value.Length, LongestValue / 4));
        }

        return value.Length > LongestValue ? $"{text} …" : text;
    }

    public Task EventsAsync(DashboardRequest request)
    {
        if (_events is null)
        {
            return SendAsync(request, "Security events", "events", DashboardLayout.Missing("Security events are reported by the security add-on.", "AddRedisSession(...).AddSecurity()"));
        }

        var all = _events.All;
        return SendAsync(request, "Security events", "events", Markup.Of($"""
            <p class="quiet">The last {RecentSecurityEvents.Most} that this server saw since it started, {DashboardLayout.Time(_events.Since)} UTC; all of them, of every server, are in the log.</p>
            <div id="security-events" class="scroll panel" role="region" aria-label="Security events" tabindex="0" data-live>
              <table>
                <thead><tr><th scope="col">When (UTC)</th><th scope="col">What</th><th scope="col">User</th><th scope="col">By</th><th scope="col">Details</th><th scope="col">Session</th></tr></thead>
                <tbody>{all.Select(entry => EventRow(request, entry.At, entry.Event))}</tbody>
              </table>
              {(all.Count == 0 ? Markup.Of($"""<p class="quiet">None yet.</p>""") : Markup.None)}
            </div>
            """));
    }

    private static Markup EventRow(DashboardRequest request, DateTimeOffset at, SessionSecurityEvent e)
    {
        var details = string.Join(", ", new[] { e.EndReason?.ToString(), e.Detail }.Where(text => !string.IsNullOrEmpty(text)));
        var user = e.UserId is null ? Markup.None : Markup.Of($"""<a href="{request.Link("user", ("id", e.UserId))}">{e.UserId}</a>""");
        var session = e.SessionId is null ? Markup.None : Markup.Of($"""<a href="{request.Link("session", ("id", e.SessionId), ("user", e.UserId ?? ""))}"><code>{(e.SessionId.Length > 8 ? e.SessionId[..8] : e.SessionId)}</code></a>""");
        return Markup.Of($"""<tr><td>{DashboardLayout.Time(at)}</td><th scope="row">{e.Kind.ToString()}</th><td>{user}</td><td>{e.By}</td><td>{details}</td><td>{session}</td></tr>""");
    }

    public async Task ReportAsync(DashboardRequest request)
    {
        var to = DayOf(request.Query("to")) ?? Today;
        var from = DayOf(request.Query("from")) ?? to;
        if (_analytics is null)
        {
            request.Context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (from > to || to.DayNumber - from.DayNumber > 366)
        {
            request.Context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        var reports = await _analytics.GetRangeAsync(from, to, request.Aborted).ConfigureAwait(false);
        var days = new List<(DailyReport, IReadOnlyDictionary<string, long>)>(reports.Count);
        foreach (var report in reports)
        {
            days.Add((report, await _analytics.GetEventCountsAsync(report.Day, request.Aborted).ConfigureAwait(false)));
        }

        await request.DownloadAsync(ReportCsv.Write(days), $"sessions-{Text(from)}-{Text(to)}.csv").ConfigureAwait(false);
    }

    private static DateOnly? DayOf(string? text) =>
        DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) && day.Year is > 2000 and < 9000 ? day : null;

    private static string Text(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static FormattableString Duration(TimeSpan time)
    {
        if (time.TotalHours >= 1)
        {
            return $"{(int)time.TotalHours} h {time.Minutes} min";
        }

        if (time.TotalMinutes >= 10)
        {
            return $"{time.Minutes} min";
        }

        return $"{time.Minutes} min {time.Seconds} s";
    }
}
