using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.StaticAssets;

namespace RedisSessions.Preloading;

/// <summary>For which endpoints the session's load is awaited.</summary>
internal static class SessionPreload
{
    /// <summary>Whether the endpoint is a page that may read the session, and not a file.</summary>
    public static bool MayRead(Endpoint endpoint) => endpoint.Metadata.GetMetadata<StaticAssetDescriptor>() is null;

    /// <summary>Whether its metadata say that it does not wait.</summary>
    public static bool IsOff(Endpoint endpoint) => endpoint.Metadata.GetMetadata<SessionPreloadAttribute>() is { Enabled: false };
}
