using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace RedisSessions.Tests.Docs;

/// <summary>
/// The program that a reader makes of a code block: in an application that has everything that the block does not bring, with what editors
/// add by themselves (usings), and with stand-ins for what is plainly the reader's own.
/// </summary>
internal static class CodeBlockProgram
{
    // Those of every web project, ours, and those that an editor offers for names in the blocks.
    private static readonly string[] Usings =
    [
        "System", "System.Collections.Generic", "System.Linq", "System.Threading", "System.Threading.Tasks", "System.Security.Claims",
        "Microsoft.AspNetCore.Authentication", "Microsoft.AspNetCore.Authentication.OpenIdConnect", "Microsoft.AspNetCore.Builder", "Microsoft.AspNetCore.DataProtection", "Microsoft.AspNetCore.Http", "Microsoft.AspNetCore.SignalR",
        "Microsoft.Extensions.DependencyInjection", "Microsoft.Extensions.Options", "RedisSessions", "RedisSessions.Tests.Docs",
    ];

    // What a block names and a reader has; and what registers it.
    private static readonly Dictionary<string, (string Register, string Type)> Readers = new()
    {
        ["ITokenClient"] = (
            "builder.Services.AddSingleton<ITokenClient, TokenClient>();",
            "public interface ITokenClient { Task RevokeAsync(string id, CancellationToken cancellationToken); } public sealed class TokenClient : ITokenClient { public Task RevokeAsync(string id, CancellationToken cancellationToken) => Task.CompletedTask; }"),
    };

    public static string Of(CodeBlock block, string redis)
    {
        IEnumerable<string> lines = block.Lines;
        if (lines.All(line => line is ['+' or '-', ' ', ..]))
        {
            // What it looks like afterwards.
            lines = lines.Where(line => line[0] == '+').Select(line => line[2..]);
        }

        var code = string.Join('\n', lines).Replace("localhost:6379", redis, StringComparison.Ordinal);
        var parts = code.Split("\n...\n");
        var (before, after, types) = (parts[0], parts.Length > 1 ? parts[1] : "", "");
        if (parts.Length == 1)
        {
            var unit = SyntaxFactory.ParseCompilationUnit(code);
            types = string.Concat(unit.Members.Where(member => member is not GlobalStatementSyntax).Select(member => member.ToFullString()));
            var statements = unit.Members.OfType<GlobalStatementSyntax>().Select(member => member.ToFullString()).ToLookup(statement => statement.TrimStart().StartsWith("builder.", StringComparison.Ordinal));
            (before, after) = (string.Concat(statements[true]), string.Concat(statements[false]));
        }

        var readers = Readers.Where(reader => code.Contains(reader.Key, StringComparison.Ordinal)).Select(reader => reader.Value).ToArray();
        return $$"""
            {{string.Concat(Usings.Select(name => $"using {name};\n"))}}
            var redis = "{{redis}}";
            var builder = WebApplication.CreateBuilder(args);
            CodeBlockSite.Prepare(builder, redis, hasSessions: {{(code.Contains("Services.AddRedisSession(", StringComparison.Ordinal) ? "true" : "false")}});
            {{string.Join('\n', readers.Select(reader => reader.Register))}}
            {{before}}
            await using var app = builder.Build();
            {{(after.Contains("UseSession()", StringComparison.Ordinal) ? "" : "app.UseSession();")}}
            app.UseAuthentication();
            app.UseAuthorization();
            {{(after.Contains("HttpContext.", StringComparison.Ordinal) ? $$"""CodeBlockSite.MapBlock(app, async (HttpContext, principal, clock) => { {{after}} });""" : after)}}
            await CodeBlockSite.RunAsync(app);
            {{types}}
            {{string.Join('\n', readers.Select(reader => reader.Type))}}
            """;
    }

    /// <returns>The assembly; what the compiler says in place of one is a failure, warnings included.</returns>
    public static byte[] Compile(string where, string program)
    {
        var references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path));
        var compilation = CSharpCompilation.Create(
            $"block-{Guid.NewGuid():N}",
            [CSharpSyntaxTree.ParseText(program)],
            references,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        using var assembly = new MemoryStream();
        var result = compilation.Emit(assembly);

        // CS1701 and CS1702 are about versions of assemblies, which a project file would settle.
        var said = result.Diagnostics.Where(diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning && !diagnostic.Id.StartsWith("CS170", StringComparison.Ordinal))
            .Select(diagnostic => diagnostic.ToString());
        Assert.True(!said.Any(), $"{where}:\n{string.Join('\n', said)}\n\n{program}");
        return assembly.ToArray();
    }
}
