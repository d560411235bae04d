using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks.Model;

/// <summary>Two servers with cookie authentication, users and security, each behind a proxy of its own. It serves one history at a time.</summary>
internal sealed class SignInFleet : IAsyncDisposable
{
    /// <summary>Of the servers' clock: a slow Redis costs the test nothing.</summary>
    public static readonly TimeSpan IOTimeout = TimeSpan.FromSeconds(20);

    private readonly IDatabase _admin;
    private readonly Fleet _fleet;

    private SignInFleet(IDatabase admin)
    {
        _admin = admin;
        _fleet = new Fleet { Clock = Clock };
    }

    public FakeTimeProvider Clock { get; } = new(DateTimeOffset.UtcNow);

    public IReadOnlyList<SignInServer> Servers { get; private set; } = [];

    /// <summary>Users of this history, whom no other has met.</summary>
    public string[] NewUsers() => [$"ada-{Guid.NewGuid():N}", $"bob-{Guid.NewGuid():N}"];

    public static async Task<SignInFleet> StartAsync(IDatabase admin, string address)
    {
        var fleet = new SignInFleet(admin);
        fleet.Servers = [await fleet.StartServerAsync(address), await fleet.StartServerAsync(address)];
        return fleet;
    }

    private async Task<SignInServer> StartServerAsync(string address)
    {
        var proxy = new RedisProxy(address);
        var server = new SignInServer(proxy);
        var settings = ConfigurationOptions.Parse(proxy.Address + RedisServer.Patient);
        settings.BacklogPolicy = BacklogPolicy.FailFast;
        settings.ReconnectRetryPolicy = new LinearRetry(1);
        settings.HeartbeatInterval = TimeSpan.FromMilliseconds(50);
        settings.AbortOnConnectFail = false;
        server.Site = await Site.StartAsync(
            proxy.Address,
            SignInPages.Map,
            _fleet,
            options => options.ConfigurationOptions = settings,
            services =>
            {
                services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie();
                services.AddAuthorization();
                services.AddSession(options => options.IOTimeout = IOTimeout);
            },
            // What prunes by the clock would come between the commands of a request.
            builder => builder.AddUserIndex(options => options.PruneInterval = TimeSpan.Zero).AddSecurity(),
            beforeSession: app => app.UseAuthentication().Use((context, next) =>
            {
                server.Validated?.Invoke();
                return next(context);
            }),
            afterSession: app => app.UseRouting().UseAuthorization(),
            logLevel: LogLevel.None);
        return server;
    }

    public Browser NewBrowser() => Servers[0].Site.NewBrowser();

    /// <summary>What a ticket says; null for none.</summary>
    public Ticket? TicketOf(string? cookie)
    {
        if (cookie is null)
        {
            return null;
        }

        var options = Servers[0].Site.Services.GetRequiredService<IOptionsMonitor<CookieAuthenticationOptions>>().Get(CookieAuthenticationDefaults.AuthenticationScheme);
        var ticket = options.TicketDataFormat.Unprotect(cookie) ?? throw new InvalidOperationException("A ticket cannot be read.");
        var items = ticket.Properties.Items;
        return new Ticket(
            items.TryGetValue(".RedisSessions.n", out var number) ? number : null,
            ticket.Principal.Identity!.Name!,
            ticket.Properties.ExpiresUtc!.Value,
            items.TryGetValue(".RedisSessions.unbound", out var since) ? long.Parse(since!, CultureInfo.InvariantCulture) : null);
    }

    /// <summary>The id of the session that a cookie names, as docs/semantics.md says; null for none.</summary>
    public Guid? IdOf(string? cookie)
    {
        if (cookie is null)
        {
            return null;
        }

        var value = Uri.UnescapeDataString(cookie);
        var secret = _fleet.Protection.CreateProtector("SessionMiddleware").Unprotect(Convert.FromBase64String(value.PadRight((value.Length + 3) / 4 * 4, '=')));
        return new Guid(SHA256.HashData(secret).AsSpan(0, 16));
    }

    public async Task<IReadOnlyDictionary<string, string>> ReadAsync(Guid id) =>
        (await _admin.HashGetAllAsync(KeyOf(id))).ToDictionary(entry => (string)entry.Name!, entry => (string)entry.Value!);

    public Task ExpireAsync(Guid id) => _admin.KeyDeleteAsync(KeyOf(id));

    public Task ForgetUsersAsync() => _admin.KeyDeleteAsync([.. Enumerable.Range(0, 16).Select(shard => (RedisKey)$"{_fleet.Prefix}users:{shard}")]);

    /// <summary>Whatever the servers sent without waiting for it has been done.</summary>
    public async Task SettleAsync()
    {
        foreach (var server in Servers)
        {
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    await server.Site.Sessions.ExistsAsync(Guid.NewGuid().ToString());
                    return true;
                }
                catch (Exception exception) when (exception is RedisException or TimeoutException or OperationCanceledException)
                {
                    return false;
                }
            });
        }
    }

    private string KeyOf(Guid id) => $"{_fleet.Prefix}{{{id}}}";

    public async ValueTask DisposeAsync()
    {
        foreach (var server in Servers)
        {
            await server.Site.DisposeAsync();
            server.Proxy.Dispose();
        }
    }
}

internal sealed class SignInServer(RedisProxy proxy)
{
    public RedisProxy Proxy { get; } = proxy;

    public Site Site { get; set; } = null!;

    /// <summary>Called when a request's ticket has been validated, before its page runs.</summary>
    public Action? Validated { get; set; }

    public IUserSessions Users => Site.Services.GetRequiredService<IUserSessions>();
}

/// <summary>What a ticket says, as far as the test may know it.</summary>
/// <param name="Number">The sign-in's number.</param>
/// <param name="User">Whose it is.</param>
/// <param name="Expires">When it expires.</param>
/// <param name="UnboundSince">When it was made without a session, UTC ticks.</param>
internal sealed record Ticket(string? Number, string User, DateTimeOffset Expires, long? UnboundSince);

/// <summary>The site: each page first says what it sees.</summary>
internal static class SignInPages
{
    public static void Map(WebApplication app) => app.MapGet("/do/{act}/{argument}", async (HttpContext context, string act, string argument, [FromServices] TimeProvider clock) =>
    {
        var session = context.Session;
        var seen = $"{context.User.Identity?.Name}|{session.GetUserId()}|{session.GetString("data")}|{clock.GetUtcNow().UtcTicks}";
        switch (Enum.Parse<SignInAct>(act))
        {
            case SignInAct.Write:
                session.SetString("data", argument);
                break;
            case SignInAct.SignIn:
                var (user, isRemembered) = argument[^1] == '!' ? (argument[..^1], true) : (argument, false);
                await context.SignInAsync(SignInSite.PrincipalOf(user));
                if (isRemembered)
                {
                    session.SetIdleTimeout(SignInModel.Remembered);
                }

                break;
            case SignInAct.SignOut:
                await context.SignOutAsync();
                break;
            case SignInAct.Regenerate:
                await session.RegenerateIdAsync();
                break;
            case SignInAct.Refresh:
                if (await context.AuthenticateAsync() is { Principal: { } principal, Properties: var properties })
                {
                    await context.SignInAsync(principal, properties);
                }

                break;
            case SignInAct.ChangePassword:
                await context.RequestServices.GetRequiredService<ISessionSecurity>().CredentialsChangedAsync(context);
                break;
        }

        return seen;
    });
}
