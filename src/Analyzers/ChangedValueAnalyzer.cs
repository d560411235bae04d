using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace RedisSessions.Analyzers;

/// <summary>
/// A local that came from the session's <c>Get</c>, is changed, and goes nowhere afterwards: not to <c>Set</c>, nor to anybody who might pass it on. What goes to
/// somebody else is theirs to set, so nothing is said of it.
/// </summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class ChangedValueAnalyzer : DiagnosticAnalyzer
{
    private static readonly ImmutableHashSet<string> Changing = ImmutableHashSet.Create(
        "Add", "AddRange", "AddFirst", "AddLast", "Clear", "Insert", "InsertRange", "Remove", "RemoveAll", "RemoveAt", "RemoveFirst", "RemoveLast", "RemoveRange",
        "Push", "Pop", "Enqueue", "Dequeue", "Sort", "Reverse", "TryAdd", "UnionWith", "ExceptWith", "IntersectWith");

    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = ImmutableArray.Create(Rules.ChangedAndNotSet);

    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(static start =>
        {
            var types = new SessionTypes(start.Compilation);
            if (types.JsonExtensions is not null)
            {
                start.RegisterOperationBlockAction(block => Look(block, types));
            }
        });
    }

    private static void Look(OperationBlockAnalysisContext context, SessionTypes types)
    {
        var operations = context.OperationBlocks.SelectMany(static block => block.DescendantsAndSelf()).ToArray();
        foreach (var local in operations.OfType<IVariableDeclaratorOperation>())
        {
            if (GetOf(local.Initializer?.Value) is { } get && types.IsTyped(get.TargetMethod, "Get") && local.Symbol.Type is { IsReferenceType: true, SpecialType: not SpecialType.System_String })
            {
                var uses = operations.OfType<ILocalReferenceOperation>().Where(use => SymbolEqualityComparer.Default.Equals(use.Local, local.Symbol)).ToArray();
                if (uses.FirstOrDefault(IsChange) is { } change && !uses.Any(Escapes))
                {
                    var key = get.Arguments.FirstOrDefault(static argument => argument.Parameter?.Ordinal == 1)?.Value.ConstantValue.Value as string;
                    context.ReportDiagnostic(Diagnostic.Create(Rules.ChangedAndNotSet, change.Syntax.GetLocation(), local.Symbol.Name, key ?? "..."));
                }
            }
        }
    }

    /// <summary>The call within <c>Get(...) ?? new T()</c>, a cast or an <c>await</c>.</summary>
    private static IInvocationOperation? GetOf(IOperation? value) => value switch
    {
        IInvocationOperation call => call,
        ICoalesceOperation coalesce => GetOf(coalesce.Value),
        IConversionOperation conversion => GetOf(conversion.Operand),
        _ => null,
    };

    /// <summary>Something of it is assigned, or a method of a collection called on it.</summary>
    private static bool IsChange(ILocalReferenceOperation use)
    {
        IOperation part = use;
        while (true)
        {
            switch (part.Parent)
            {
                case IMemberReferenceOperation member when member.Instance == part:
                    part = member;
                    continue;
                case IConditionalAccessOperation access when access.Operation == part:
                    return access.WhenNotNull.DescendantsAndSelf().OfType<IInvocationOperation>().Any(static call => Changing.Contains(call.TargetMethod.Name));
                case IConversionOperation conversion:
                    part = conversion;
                    continue;
                case IAssignmentOperation assignment:
                    return assignment.Target == part && part != use;
                case IIncrementOrDecrementOperation:
                    return part != use;
                case IInvocationOperation call:
                    return call.Instance == part && Changing.Contains(call.TargetMethod.Name);
                default:
                    return false;
            }
        }
    }

    /// <summary>It is an argument, is returned, stored, or captured under another name.</summary>
    private static bool Escapes(ILocalReferenceOperation use)
    {
        IOperation part = use;
        while (part.Parent is IConversionOperation or ICoalesceOperation or IParenthesizedOperation)
        {
            part = part.Parent;
        }

        return part.Parent is IArgumentOperation or IReturnOperation or IVariableInitializerOperation or ITupleOperation or IArrayInitializerOperation or IAwaitOperation
            || (part.Parent is IAssignmentOperation assignment && assignment.Value == part);
    }
}
