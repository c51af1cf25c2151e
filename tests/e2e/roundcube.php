<?php
// Roundcube's filter plugin without its pages: its connection (rcube_sieve over Net_Sieve) and its writer and reader of scripts
// (rcube_sieve_script). Arguments: folder of the classes, port, CA file, user, password. Prints what happened as JSON.

[, $folder, $port, $ca, $user, $password] = $argv;
error_reporting(E_ALL & ~E_DEPRECATED);
require_once 'Net/Sieve.php';
require_once "$folder/rcube_sieve.php";
require_once "$folder/rcube_sieve_script.php";

function connected($password) {
    global $port, $ca, $user;
    $tls = ['ssl' => ['cafile' => $ca, 'verify_peer' => true, 'verify_peer_name' => true, 'peer_name' => 'localhost']];
    return new rcube_sieve($user, $password, 'localhost', $port, null, true, [], false, null, null, $tls);
}

function test($test, $type, $arg1, $arg2 = null, $more = []) {
    return ['test' => $test, 'type' => $type] + ($arg2 === null ? ['arg' => $arg1] : ['arg1' => $arg1, 'arg2' => $arg2]) + $more;
}

function rule($name, $tests, $actions, $more = []) {
    return $more + ['name' => $name, 'type' => 'if', 'disabled' => false, 'join' => false, 'tests' => $tests, 'actions' => $actions];
}

$said = ['wrong password' => connected('no')->error()];
$sieve = connected($password);
$said['connected'] = $sieve->error();
$said['extensions'] = $sieve->get_extensions();
$said['scripts at first'] = $sieve->get_scripts();

// The page for a script as text: the lines with mistakes are marked.
$said['broken'] = $sieve->save_script('own', "require \"fileinto\";\r\nif tru { keep; }\r\n\r\nfilinto \"x\";\r\n");
$said['broken lines'] = array_column($sieve->get_error_lines(), 'line');
$said['quotes'] = $sieve->save_script('"Größe" \\ 1', "/* \"x\" */\r\nkeep;\r\n");
$said['copied'] = $sieve->copy('copy', '"Größe" \\ 1');
$said['read'] = $sieve->get_script('copy');

// The page with rules.
$sieve->load_script('');
$rules = [
    rule('lists', [test('header', 'contains', ['list-id', 'x-list'], ['dev', 'ops "x"'])], [['type' => 'fileinto', 'target' => 'Lists'], ['type' => 'stop']]),
    rule('copies', [test('address', 'is', 'from', 'pat@example.org', ['part' => 'all']), test('size', 'over', '1K', null, ['not' => true])],
        [['type' => 'fileinto', 'target' => 'Pat', 'copy' => true], ['type' => 'addflag', 'target' => ['\\Flagged', 'pat']], ['type' => 'keep']], ['join' => true]),
    rule('away', [test('currentdate', 'value-ge', '2026-01-01', null, ['part' => 'date'])],
        [['type' => 'vacation', 'days' => 3, 'subject' => 'Bin weg', 'addresses' => ['kim@example.net'], 'reason' => "Grüße\n.\nKim"]]),
    rule('off', [test('true', '', '')], [['type' => 'discard']], ['disabled' => true]),
    rule('rest', [test('body', 'regex', 'a+b', null, ['part' => 'text']), test('envelope', 'matches', 'to', '*+spam@*', ['part' => 'all']),
        test('exists', '', ['x-a', 'x-b'], null, ['not' => true]), test('string', 'is', '${x}', 'y'), test('duplicate', '', '', null, ['seconds' => 60])],
        [['type' => 'set', 'name' => 'x', 'value' => 'y', 'upper' => true], ['type' => 'notify', 'method' => 'mailto:kim@example.org', 'importance' => 1, 'message' => 'hi', 'options' => []],
        ['type' => 'redirect', 'target' => 'kim@example.org', 'copy' => true], ['type' => 'reject', 'target' => 'No']], ['join' => true]),
];
foreach ($rules as $rule) {
    $sieve->script->add_rule($rule);
}
$said['saved'] = $sieve->save('roundcube');
$said['activated'] = $sieve->activate('roundcube');
$text = $sieve->get_script('roundcube');
$again = connected($password);
$said['active'] = $again->get_active();
$said['loaded'] = $again->load('roundcube');
$said['names of rules'] = array_column($again->script->as_array(), 'name');
$said['scripts'] = $again->get_scripts();
$said['removed'] = $again->remove('copy');
$said['removed twice'] = $again->remove('copy');
$said['scripts in the end'] = $again->get_scripts();
$said['text'] = $text;

echo json_encode($said, JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
