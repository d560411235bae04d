using Microsoft.CodeAnalysis;

namespace RedisSessions.Analyzers;

/// <summary>What the analyzers say.</summary>
internal static class Rules
{
    public static readonly DiagnosticDescriptor ChangedAndNotSet = new(
        "RSS001",
        "A value of the session is changed and not set again",
        "'{0}' came from the session and is changed here, but not set again: the change is lost. Call Set(\"{1}\", {0}) behind it.",
        "Usage",
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        "Get<T> makes a new object of what is stored; only Set stores it.");

    public static readonly DiagnosticDescriptor WrongPlace = new(
        "RSS002",
        "UseSession stands at the wrong place",
        "{0}",
        "Usage",
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        "The session is loaded where UseSession stands; what comes before has none, and what needs none should not wait for it.");

    public static readonly DiagnosticDescriptor ReadBeforeLoad = new(
        "RSS003",
        "The session is read before it is loaded, where nobody else loads it",
        "Preloading is off here, so this read blocks its thread until Redis answers. Write 'await {0}.LoadAsync()' before it.",
        "Performance",
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        "With [SessionPreload(false)] the session is loaded by the first who needs it; synchronous reads then wait for the round trip.");
}
