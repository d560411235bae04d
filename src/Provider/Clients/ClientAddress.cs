using System.Net;

namespace RedisSessions.Clients;

/// <summary>A client's address as text, the same whether it came over IPv4 or over IPv6's mapping of it; empty if unknown.</summary>
internal static class ClientAddress
{
    public static string Of(IPAddress? address) =>
        address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4().ToString() : address?.ToString() ?? "";
}
