using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Net.Http.Headers;
using StackExchange.Redis;

namespace RedisSessions.Tests.Model;

/// <summary>Two servers, one Redis, one clock. It serves one history at a time; sessions of earlier ones are deleted.</summary>
internal sealed class ModelFleet : IAsyncDisposable
{
    private readonly IDataProtectionProvider _protection = new EphemeralDataProtectionProvider();
    private readonly IDatabase _admin;
    private readonly List<IDisposable> _owned = [];
    private readonly string _prefix = $"m{Guid.NewGuid():N}:";

    private ModelFleet(IDatabase admin) => _admin = admin;

    public FakeTimeProvider Clock { get; } = new(DateTimeOffset.UtcNow);

    public IReadOnlyList<ModelServer> Servers { get; private set; } = [];

    public ModelStore NewStore() => new(_admin, _prefix);

    /// <summary>Its servers share connections with other fleets.</summary>
    public static ModelFleet Start(IDatabase admin, IReadOnlyList<IConnectionMultiplexer> connections)
    {
        var fleet = new ModelFleet(admin);
        fleet.Servers = [.. connections.Select(connection => new ModelServer(fleet._prefix, fleet._protection, fleet.Clock, connection, null))];
        return fleet;
    }

    /// <summary>Its servers have connections of their own, which lose replies.</summary>
    public static async Task<ModelFleet> StartLossyAsync(IDatabase admin, string address)
    {
        var fleet = new ModelFleet(admin);
        var servers = new List<ModelServer>();
        for (var i = 0; i < 2; i++)
        {
            var proxy = new LossyProxy(address);
            var connection = await ConnectAsync(proxy.Address);
            fleet._owned.AddRange([connection, proxy]);
            servers.Add(new ModelServer(fleet._prefix, fleet._protection, fleet.Clock, connection, proxy));
        }

        fleet.Servers = servers;
        return fleet;
    }

    /// <summary>A connection that is back as soon as it can be, and meanwhile fails at once, as the library's own does.</summary>
    public static async Task<IConnectionMultiplexer> ConnectAsync(string address)
    {
        var settings = ConfigurationOptions.Parse(address + RedisServer.Patient);
        settings.BacklogPolicy = BacklogPolicy.FailFast;
        settings.ReconnectRetryPolicy = new LinearRetry(1);
        settings.HeartbeatInterval = TimeSpan.FromMilliseconds(20);
        settings.AbortOnConnectFail = false;
        return await ConnectionMultiplexer.ConnectAsync(settings);
    }

    /// <summary>The cookie that a response leaves with the browser; null where it says nothing, empty where it ends it.</summary>
    public static string? CookieOf(IHeaderDictionary headers)
    {
        string? cookie = null;
        foreach (var header in SetCookieHeaderValue.ParseList([.. headers.SetCookie.OfType<string>()]))
        {
            if (header.Name == SessionDefaults.CookieName)
            {
                cookie = header.Expires < DateTimeOffset.UtcNow ? "" : $"{header.Name}={header.Value}";
            }
        }

        return cookie;
    }

    /// <summary>The id of the session that a cookie names: derived from the secret in it, as DESIGN and docs/semantics.md say.</summary>
    public Guid IdOf(string cookie)
    {
        var value = Uri.UnescapeDataString(cookie[(cookie.IndexOf('=', StringComparison.Ordinal) + 1)..]);
        var secret = _protection.CreateProtector("SessionMiddleware").Unprotect(Convert.FromBase64String(value.PadRight((value.Length + 3) / 4 * 4, '=')));
        return new Guid(SHA256.HashData(secret).AsSpan(0, 16));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in Servers)
        {
            await server.DisposeAsync();
        }

        foreach (var owned in _owned)
        {
            owned.Dispose();
        }
    }
}
