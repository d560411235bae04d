namespace RedisSessions.Endpoints.Dashboard;

/// <summary>What all pages of the dashboard have in common.</summary>
internal static class DashboardLayout
{
    private static readonly (string Name, string Title)[] Pages = [("", "Overview"), ("users", "Users"), ("events", "Security events")];

    /// <param name="request">The request.</param>
    /// <param name="title">The page's.</param>
    /// <param name="section">Which link of the menu it belongs to.</param>
    /// <param name="refresh">How often what is marked as live is refreshed; zero for never.</param>
    /// <param name="body">What is on it.</param>
    public static Markup Page(DashboardRequest request, string title, string section, TimeSpan refresh, Markup body) => Markup.Of($"""
        <!DOCTYPE html>
        <html lang="en">
        <head>
          <meta charset="utf-8">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <meta name="color-scheme" content="light dark">
          <title>{title} · Sessions</title>
          <link rel="icon" href="{request.Base}/dashboard.svg" type="image/svg+xml">
          <link rel="stylesheet" href="{request.Base}/dashboard.css">
          <script src="{request.Base}/dashboard.js" defer></script>
        </head>
        <body data-refresh="{(long)refresh.TotalMilliseconds}">
          <a class="skip" href="#content">To the content</a>
          <header>
            <a class="brand" href="{request.Home}">Sessions</a>
            <nav aria-label="Dashboard">{Pages.Select(page => Link(request, page.Name, page.Title, page.Name == section))}</nav>
            <p id="status" class="quiet" role="status"></p>
          </header>
          <main id="content" tabindex="-1">
            <h1>{title}</h1>
            {Done(request.Query("done"))}
            {body}
          </main>
        </body>
        </html>

        """);

    /// <summary>A page that says why there is no other.</summary>
    public static Task RefuseAsync(DashboardRequest request, string title, string sentence, int status) =>
        request.SendAsync(Page(request, title, "", TimeSpan.Zero, Markup.Of($"""<p class="message" role="alert">{sentence}</p>""")), status);

    private static Markup Link(DashboardRequest request, string name, string title, bool current)
    {
        var href = name.Length == 0 ? request.Home : request.Link(name);
        return current ? Markup.Of($"""<a href="{href}" aria-current="page">{title}</a>""") : Markup.Of($"""<a href="{href}">{title}</a>""");
    }

    /// <summary>Sentences that the link can choose from, and nothing that it says itself.</summary>
    private static Markup Done(string? what) => what switch
    {
        "revoked" => Message("The session has ended. Its browser is signed out with its next request."),
        "gone" => Message("There was no such session any more."),
        "all" => Message("All sessions of the user have ended."),
        "everyone" => Message("All sessions of all users have ended."),
        _ => Markup.None,
    };

    private static Markup Message(string sentence) => Markup.Of($"""<p class="message" role="status">{sentence}</p>""");

    /// <summary>In place of a part whose add-on is not there.</summary>
    public static Markup Missing(string what, string write) => Markup.Of($"""<p class="panel quiet">{what} For that write <code>{write}</code>.</p>""");

    public static Markup Time(DateTimeOffset at) => Markup.Of($"""<time datetime="{at.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}">{at.UtcDateTime:yyyy-MM-dd HH:mm:ss}</time>""");
}
