using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Net.Http.Headers;
using RedisSessions.Clients;
using RedisSessions.Sessions;

namespace RedisSessions.Live;

/// <summary>
/// What of live connections is seen in requests. A hub's connection is opened by a request, and lives on without it (long polling): so the request's session is laid where the
/// hub's filter finds it.
/// </summary>
internal sealed class LiveRequests : SessionAddOn
{
    private static readonly object Session = new();

    public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

    public override bool NeedsEndpointTurn => true;

    public override bool KnowsTenants => true;

    public override bool NeedsSessionAt(Endpoint endpoint) =>
        endpoint.Metadata.GetMetadata<HubMetadata>() is not null || endpoint.Metadata.GetMetadata<LiveEndpointMetadata>() is not null;

    /// <summary>Behind the negotiation, requests to a hub carry what goes over the connection, pings among it; its messages are seen by the hub's filter.</summary>
    public override bool IsUse(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<HubMetadata>() is null || !context.Request.Query.ContainsKey("id");

    public override void EndpointBegins(RedisSession session, HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<HubMetadata>() is not null)
        {
            // Signal R copies these for connections that have no request of their own.
            context.Items[Session] = session;
        }
    }

    /// <summary>The session of the request that opened a hub's connection; null if it had none.</summary>
    public static LiveSubject? SubjectOf(HttpContext? context) => context?.Items[Session] is RedisSession session ? LiveSubject.Of(session) : null;

    public static LiveClient ClientOf(HttpContext? context) =>
        new(ClientAddress.Of(context?.Connection.RemoteIpAddress), context?.Request.Headers[HeaderNames.UserAgent].ToString() ?? "");
}

/// <summary>The endpoint's connections belong to their sessions.</summary>
internal sealed class LiveEndpointMetadata;
