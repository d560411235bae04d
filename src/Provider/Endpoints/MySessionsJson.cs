using System.Text.Json.Serialization;

namespace RedisSessions.Endpoints;

internal sealed record MySessionList(IReadOnlyList<MySession> Sessions, AntiforgeryHeader Antiforgery);

/// <param name="Id">Names the session; no secret.</param>
/// <param name="Device">Browser and system.</param>
/// <param name="Network">From where it was last used; null if unknown.</param>
/// <param name="Created">UTC.</param>
/// <param name="SignedIn">UTC.</param>
/// <param name="LastSeen">UTC.</param>
/// <param name="Expires">UTC.</param>
/// <param name="Current">Whether the request came with it.</param>
internal sealed record MySession(
    string Id, string Device, string? Network, DateTimeOffset Created, DateTimeOffset SignedIn, DateTimeOffset LastSeen, DateTimeOffset Expires, bool Current);

/// <summary>What a request that ends sessions has to carry; only a page of the same origin can read it.</summary>
internal sealed record AntiforgeryHeader(string Header, string Token);

internal sealed record RevokedSessions(long Revoked);

/// <summary>Without reflection, for what is trimmed or compiled ahead of time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(MySessionList))]
[JsonSerializable(typeof(RevokedSessions))]
internal sealed partial class MySessionsJson : JsonSerializerContext;
