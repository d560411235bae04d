using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace RedisSessions.Analyzers;

/// <summary>An endpoint with <c>[SessionPreload(false)]</c> or <c>DisableSessionPreload()</c> that reads the session before <c>LoadAsync</c>.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class ReadBeforeLoadAnalyzer : DiagnosticAnalyzer
{
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = ImmutableArray.Create(Rules.ReadBeforeLoad);

    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(static start =>
        {
            var types = new SessionTypes(start.Compilation);
            if (types.Preload is not null)
            {
                start.RegisterOperationBlockAction(block =>
                {
                    if (IsOff(block.OwningSymbol, types))
                    {
                        foreach (var body in block.OperationBlocks)
                        {
                            Look(body, block.ReportDiagnostic, types);
                        }
                    }
                });
                start.RegisterOperationAction(
                    lambda =>
                    {
                        var function = (IAnonymousFunctionOperation)lambda.Operation;
                        if (IsOff(function.Symbol, types))
                        {
                            Look(function.Body, lambda.ReportDiagnostic, types);
                        }
                    },
                    OperationKind.AnonymousFunction);
                start.RegisterOperationAction(
                    call =>
                    {
                        if (EndpointOf((IInvocationOperation)call.Operation) is { } function)
                        {
                            Look(function.Body, call.ReportDiagnostic, types);
                        }
                    },
                    OperationKind.Invocation);
            }
        });
    }

    /// <summary>The endpoint of <c>MapGet("/", ...).DisableSessionPreload()</c>, with other calls between; null if that is not what it is.</summary>
    private static IAnonymousFunctionOperation? EndpointOf(IInvocationOperation call)
    {
        if (call.TargetMethod.Name != "DisableSessionPreload" || call.Arguments.Length == 0)
        {
            return null;
        }

        var before = call.Arguments[0].Value;
        while (before is IInvocationOperation { Arguments.Length: > 0 } mapped)
        {
            if (mapped.Arguments.SelectMany(static argument => argument.Value.DescendantsAndSelf()).OfType<IAnonymousFunctionOperation>().FirstOrDefault() is { } function)
            {
                return function;
            }

            before = mapped.Arguments[0].Value;
        }

        return null;
    }

    private static bool IsOff(ISymbol symbol, SessionTypes types)
    {
        for (var holder = symbol; holder is IMethodSymbol or INamedTypeSymbol; holder = holder.ContainingSymbol)
        {
            var attribute = holder.GetAttributes().FirstOrDefault(attribute => SymbolEqualityComparer.Default.Equals(attribute.AttributeClass, types.Preload));
            if (attribute is not null)
            {
                return attribute.ConstructorArguments.Length == 1 && attribute.ConstructorArguments[0].Value is false;
            }
        }

        return false;
    }

    private static void Look(IOperation body, Action<Diagnostic> report, SessionTypes types)
    {
        var calls = body.DescendantsAndSelf().OfType<IInvocationOperation>().OrderBy(static call => call.Syntax.Span.End);
        foreach (var call in calls)
        {
            if (call.TargetMethod.Name == "LoadAsync" && types.IsSession(call.Instance?.Type))
            {
                return;
            }

            if (types.IsRead(call.TargetMethod))
            {
                var session = call.Instance ?? call.Arguments[0].Value;
                report(Diagnostic.Create(Rules.ReadBeforeLoad, call.Syntax.GetLocation(), session.Syntax.ToString()));
                return;
            }
        }
    }
}
