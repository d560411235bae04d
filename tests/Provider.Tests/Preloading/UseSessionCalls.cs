namespace RedisSessions.Tests.Preloading;

/// <summary>Calls of UseSession as applications write them, with the using directives of a minimal-hosting program.</summary>
internal static class Called
{
    public static IApplicationBuilder InEveryWay(WebApplication app)
    {
        app.UseSession().UseRouting();
        app.UseSession(new SessionOptions { IdleTimeout = TimeSpan.FromMinutes(5) }).UseRouting();
        app.UseWhen(_ => true, branch => branch.UseSession());
        app.Map("/branch", branch => branch.UseSession(new SessionOptions()));
        SessionMiddlewareExtensions.UseSession(app);
        SessionWebApplicationExtensions.UseSession(app);
        ((IApplicationBuilder)app).UseSession();
        Action<WebApplication> action = static app => app.UseSession();
        Func<WebApplication, IApplicationBuilder> function = SessionMiddlewareExtensions.UseSession;
        Func<IApplicationBuilder> method = app.UseSession;
        action(app);
        function(app);
        return method();
    }
}
