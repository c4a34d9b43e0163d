<?php
error_log("hello to {$_SERVER['REMOTE_ADDR']}");
echo 'PHP ', PHP_VERSION, " answers\n";
