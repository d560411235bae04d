namespace RedisSessions.Tests.Users;

/// <summary>A host with plain cookie authentication and AddUserIndex, no other line.</summary>
public abstract class SignInTest(RedisServer server) : ServerTest(server)
{
    protected Task<Site> StartSignInSiteAsync(
        Action<UserIndexOptions>? options = null,
        string? redis = null,
        Action<WebApplication>? map = null,
        Action<IServiceCollection>? services = null,
        bool sessionFirst = false) => StartAsync(
            app =>
            {
                SignInSite.Map(app);
                map?.Invoke(app);
            },
            redis: redis,
            services: s =>
            {
                SignInSite.AddServices(s);
                services?.Invoke(s);
            },
            addOns: builder => builder.AddUserIndex(options),
            afterSession: sessionFirst
                ? app => app.UseAuthentication().UseRouting().UseAuthorization()
                : null);

    protected static IUserSessions Users(Site site) => site.Services.GetRequiredService<IUserSessions>();
}
