using Microsoft.AspNetCore.Antiforgery;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace RedisSessions.Endpoints;

/// <summary>What endpoints need of the application; what is missing is said when they are mapped, with what to write.</summary>
internal static class Needed
{
    public static IAntiforgery Antiforgery(IServiceProvider services, string by) => services.GetService<IAntiforgery>()
        ?? throw new InvalidOperationException($"{by} checks antiforgery tokens, and there is no service for it. Write services.AddAntiforgery().");

    public static IUserSessions Users(IServiceProvider services, string by) => services.GetService<IUserSessions>()
        ?? throw new InvalidOperationException($"{by} needs to know whose sessions are whose. Write services.AddRedisSession(...).AddUserIndex().");

    /// <summary>What asks for a recent sign-in is registered with it.</summary>
    public static SessionSecurityOptions SecurityOptions(IServiceProvider services, string by) => services.GetService<ISessionSecurity>() is not null
        ? services.GetRequiredService<IOptions<SessionSecurityOptions>>().Value
        : throw new InvalidOperationException($"{by} asks for a recent sign-in, which needs AddSecurity(). Write services.AddRedisSession(...).AddUserIndex().AddSecurity().");
}
