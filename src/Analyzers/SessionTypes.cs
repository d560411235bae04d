using Microsoft.CodeAnalysis;

namespace RedisSessions.Analyzers;

/// <summary>What a compilation has of ours and of ASP.NET Core; null where it has none.</summary>
internal sealed class SessionTypes(Compilation compilation)
{
    public INamedTypeSymbol? Session { get; } = compilation.GetTypeByMetadataName("Microsoft.AspNetCore.Http.ISession");

    public INamedTypeSymbol? JsonExtensions { get; } = compilation.GetTypeByMetadataName("RedisSessions.Json.SessionJsonExtensions");

    public INamedTypeSymbol? InBoxExtensions { get; } = compilation.GetTypeByMetadataName("Microsoft.AspNetCore.Http.SessionExtensions");

    public INamedTypeSymbol? Preload { get; } = compilation.GetTypeByMetadataName("RedisSessions.SessionPreloadAttribute");

    public bool IsSession(ITypeSymbol? type) =>
        type is not null && Session is not null && (SymbolEqualityComparer.Default.Equals(type, Session) || type.AllInterfaces.Contains(Session, SymbolEqualityComparer.Default));

    /// <summary>Our <c>Get</c> or <c>Set</c> of a typed value.</summary>
    public bool IsTyped(IMethodSymbol method, string name) =>
        method.Name == name && JsonExtensions is not null && SymbolEqualityComparer.Default.Equals((method.ReducedFrom ?? method).ContainingType, JsonExtensions);

    /// <summary>A read that waits, where the session is not loaded.</summary>
    public bool IsRead(IMethodSymbol method)
    {
        var container = (method.ReducedFrom ?? method).ContainingType;
        return method.Name switch
        {
            "TryGetValue" or "get_Keys" => IsSession(container),
            "Get" or "GetString" or "GetInt32" => SymbolEqualityComparer.Default.Equals(container, InBoxExtensions) || SymbolEqualityComparer.Default.Equals(container, JsonExtensions),
            _ => false,
        };
    }
}
