using System.Reflection;

namespace RedisSessions.Tests.Docs;

/// <summary>Every code block of README.md and docs compiles as it stands and runs.</summary>
public sealed class CodeBlockTests(InProcessGarnet server)
{
    public static TheoryData<string> Programs => [.. CodeBlock.All.Where(block => !block.IsCommand).Select(block => block.Where)];

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task A_block_of_code_compiles_and_runs(string where)
    {
        server.SkipIfMissing();
        var block = CodeBlock.All.Single(block => block.Where == where);
        var program = CodeBlockProgram.Compile(where, CodeBlockProgram.Of(block, server.Address + RedisServer.Patient));
        var main = Assembly.Load(program).EntryPoint!;
        await Task.Run(() => main.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [Array.Empty<string>()], null));
    }

    /// <summary>Such a test is worth something only while it finds what there is.</summary>
    [Fact]
    public void Blocks_are_found_where_they_are()
    {
        Assert.Contains(CodeBlock.All, block => block.Where.StartsWith("README.md", StringComparison.Ordinal) && !block.IsCommand);
        Assert.Contains(CodeBlock.All, block => block.Where.StartsWith("docs/migration.md", StringComparison.Ordinal) && block.Lines[0].StartsWith("- ", StringComparison.Ordinal));
        Assert.All(CodeBlock.All.Where(block => block.IsCommand), block => Assert.DoesNotContain(block.Lines, line => line.Contains("builder.", StringComparison.Ordinal)));
    }

    /// <summary>What a reader is told to run is there to be run.</summary>
    [Fact]
    public void Projects_that_commands_name_exist()
    {
        var named = CodeBlock.All.Where(block => block.IsCommand).SelectMany(block => block.Lines).Where(line => line.Contains("--project ", StringComparison.Ordinal)).Select(line => line.Split("--project ")[1].Split(' ')[0]).ToArray();
        Assert.NotEmpty(named);
        Assert.All(named, project => Assert.True(Directory.Exists(Path.Combine(RepositoryRoot.Path, project)), project));
    }
}
