using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace RedisSessions.Analyzers;

/// <summary>The order of <c>UseSession</c> among what is called on the same application in the same block.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class SessionPlaceAnalyzer : DiagnosticAnalyzer
{
    private static readonly Dictionary<string, string> ShouldComeBefore = new()
    {
        ["UseStaticFiles"] = "UseStaticFiles stands behind UseSession, so that every file waits for a session. Put it before UseSession.",
        ["UseRouting"] = "UseRouting stands behind UseSession, which then does not know the endpoint: every request waits for its session, and [SessionPreload(false)] has no effect there. Put UseRouting before UseSession.",
    };

    private static readonly Dictionary<string, string> ShouldComeBehind = new()
    {
        ["UseEndpoints"] = "UseSession stands behind UseEndpoints, so that endpoints have no session. Put UseSession before UseEndpoints.",
        ["UseMvc"] = "UseSession stands behind UseMvc, so that controllers have no session. Put UseSession before UseMvc.",
        ["UseSessionValidation"] = "UseSession stands behind UseSessionValidation, which has no session to validate. Put UseSession before it.",
    };

    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = ImmutableArray.Create(Rules.WrongPlace);

    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(static start =>
        {
            if (new SessionTypes(start.Compilation).JsonExtensions is not null)
            {
                start.RegisterOperationBlockAction(static block => Look(block));
            }
        });
    }

    private static void Look(OperationBlockAnalysisContext context)
    {
        // Extension calls are found by their first argument; a pipeline within another (Map, UseWhen) has a variable of its own.
        var calls = context.OperationBlocks
            .SelectMany(static block => block.DescendantsAndSelf())
            .OfType<IInvocationOperation>()
            .Where(static call => call.TargetMethod.IsExtensionMethod && call.Arguments.Length > 0)
            .Select(static call => (Call: call, Application: ApplicationOf(call)))
            .Where(static pair => pair.Application is not null)
            .GroupBy(static pair => pair.Application, SymbolEqualityComparer.Default);
        foreach (var application in calls)
        {
            // By where they end: in a chain the last call is the outermost.
            var inOrder = application.Select(static pair => pair.Call).OrderBy(static call => call.Syntax.Span.End).ToArray();
            var session = Array.FindIndex(inOrder, static call => call.TargetMethod.Name == "UseSession");
            for (var i = 0; session >= 0 && i < inOrder.Length; i++)
            {
                if ((i > session ? ShouldComeBefore : ShouldComeBehind).TryGetValue(inOrder[i].TargetMethod.Name, out var message))
                {
                    var wrong = i > session ? inOrder[i] : inOrder[session];
                    context.ReportDiagnostic(Diagnostic.Create(Rules.WrongPlace, wrong.Syntax.GetLocation(), message));
                }
            }
        }
    }

    private static ISymbol? ApplicationOf(IInvocationOperation call)
    {
        var value = call.Arguments[0].Value;
        while (true)
        {
            switch (value)
            {
                case IConversionOperation conversion:
                    value = conversion.Operand;
                    continue;
                case IInvocationOperation { TargetMethod.IsExtensionMethod: true, Arguments.Length: > 0 } before:
                    value = before.Arguments[0].Value;
                    continue;
                case ILocalReferenceOperation local:
                    return local.Local;
                case IParameterReferenceOperation parameter:
                    return parameter.Parameter;
                case IFieldReferenceOperation field:
                    return field.Field;
                default:
                    return null;
            }
        }
    }
}
